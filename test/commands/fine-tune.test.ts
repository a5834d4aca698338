import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { RunRecord } from '../../src/records/record.js';
import { fcn } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const SIZE = ['--set', 'width=4', '--set', 'training.batch=2', '--set', 'iterations=4', '--set', 'checkpointEvery=1'];
const TRAIN = ['train', '--profile', 'smoke', '--engine', 'wasm', ...SIZE];

/** Own data of the same kind with two classes: road, and everything else. */
const OWN = `table: Local
recipe:
  model: { classes: 19, width: 4, pretrained: null, initialWeights: base.safetensors }
  data: { dataset: cityscapes, imageScaleWh: [128, 64], cropHw: [32, 32] }
  training: { batch: 2, iterations: 2, checkpointEvery: 2 }
  evaluation: { imageScaleWh: [128, 64], limit: 1 }
  benchmark: { trainingBatch: 2 }
rows:
  - { id: own, parts: [R-18-D8], recipe: { model: { width: 4, pretrained: null } } }
`;

interface Printed {
  readonly directory: string;
  readonly weights: string;
  readonly record: RunRecord;
}

test.serial('a command takes weights and recipe from a run, and training starts from the weights of one', async (t) => {
  const cwd = await cityscapesFolder(t, 4);
  const run = async (...parameters: string[]) => {
    const result = await fcn(parameters, { cwd });
    t.is(result.code, 0, `${parameters.join(' ')}: ${result.stderr}`);
    return result;
  };
  const json = async (...parameters: string[]) => JSON.parse((await run(...parameters, '--json')).stdout) as Printed;
  const trained = await json(...TRAIN, ROW, '--evaluate-every', '2');
  const { bestValidation, lastValidation } = trained.record.details.train!;
  t.is(lastValidation!.iteration, 4);
  t.true([2, 4].includes(bestValidation!.iteration));
  const name = path.basename(trained.directory);
  const best = path.join(trained.directory, 'checkpoints', `iteration-${bestValidation!.iteration}.safetensors`);

  // Evaluated by the name of the run, without its recipe; by the file of its checkpoint; and as a file elsewhere, with its recipe.
  const byRun = await json('evaluate', '--weights', `${ROW}/${name}:best`, '--engine', 'wasm');
  const byPath = await json('evaluate', ROW, '--weights', best, '--engine', 'wasm', '--fresh');
  copyFileSync(path.join(cwd, best), path.join(cwd, 'copy.safetensors'));
  const byFile = await json('evaluate', ROW, ...TRAIN.slice(1), '--weights', 'copy.safetensors');
  const { evaluate } = byRun.record.details;
  t.deepEqual({ ...evaluate!, seconds: 0 }, { ...byFile.record.details.evaluate!, seconds: 0 });
  t.is(evaluate!.mIoU, bestValidation!.mIoU);
  t.is(byRun.record.experimentHash, byFile.record.experimentHash);
  t.deepEqual(byRun.record.deviations, byFile.record.deviations);
  t.deepEqual([...byRun.record.overrides].sort(), ['batch=2', 'checkpointEvery=1', 'iterations=4', 'width=4']);
  t.is(byRun.record.weights!.sha256, byFile.record.weights!.sha256);
  t.deepEqual(byRun.record.weights!.trainedBy, { row: ROW, run: name, iteration: bestValidation!.iteration });
  t.deepEqual(byPath.record.weights!.trainedBy, byRun.record.weights!.trainedBy);
  t.is(byPath.record.experimentHash, byRun.record.experimentHash);
  t.is(byFile.record.weights!.trainedBy, undefined);

  const [image] = readdirSync(path.join(cwd, 'data/cityscapes/leftImg8bit/val'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.png'))
    .map((file) => path.join('data/cityscapes/leftImg8bit/val', file));
  const predicted = await run('predict', image!, '--weights', name, '--set', 'ratios=[1]', '--engine', 'wasm');
  t.regex(predicted.stderr, new RegExp(`^Weights: ${ROW}/${name}\n  iteration 4 of 4 \\(last`));
  t.regex(predicted.stdout, /^1 image predicted in predictions\.$/m);
  const measured = await json('benchmark', '--weights', name, '--set', 'benchmark.images=1', '--engine', 'wasm');
  t.is(measured.record.experiment.model.width, 4);
  t.is(measured.record.weights, null);
  t.regex((await run('weights', 'show', `${name}:best`)).stdout, /decode_head\.conv_seg\.weight/);

  const shown = await run('runs', 'show', name);
  t.regex(shown.stdout, /^last +after iteration 4: mIoU \d/m);
  t.regex(shown.stdout, new RegExp(`^best +.*after iteration ${bestValidation!.iteration}: mIoU \\d`, 'm'));

  // Fine-tuning: from the file, then from the run, which is the same run; then with the classifiers started anew.
  mkdirSync(path.join(cwd, 'elsewhere'));
  copyFileSync(path.join(cwd, trained.weights), path.join(cwd, 'elsewhere', 'base.safetensors'));
  const first = await json(...TRAIN, ROW, '--set', 'initialWeights=elsewhere/base.safetensors');
  const { initialWeights } = first.record.details.train!;
  t.like(initialWeights, { file: 'base.safetensors', reset: [], missing: [], unexpected: [], wrongShape: [] });
  t.is(initialWeights!.sha256, trained.record.weights!.sha256);
  const content = `sha256:${initialWeights!.sha256.slice(0, 16)}`;
  t.like(
    first.record.deviations.find(({ path: where }) => where === 'model.initialWeights'),
    { published: null, value: content },
  );
  const again = await json(...TRAIN, ROW, '--set', `initialWeights=${name}`, '--resume');
  t.is(again.directory, first.directory);
  const anew = await run(...TRAIN, ROW, '--set', `initialWeights=${name}`, '--reset', 'classifier');
  t.regex(
    anew.stderr,
    /^Initial weights: 130 of 134 tensors from iteration-4\.safetensors\n {2}start anew: decode_head\.conv_seg, auxiliary_head\.conv_seg$/m,
  );
  t.regex(anew.stdout, /Compares with nothing published: .*initialWeights=sha256:[0-9a-f]{16}/);

  // A run of one's own experiment file says by itself what it is.
  writeFileSync(path.join(cwd, 'elsewhere', 'own.yaml'), OWN);
  const own = await json('train', '--file', 'elsewhere/own.yaml', '--engine', 'wasm');
  t.deepEqual(own.record.deviations, []);
  const evaluated = await json('evaluate', '--weights', 'own', '--set', 'evaluation.limit=null', '--engine', 'wasm');
  t.like(evaluated.record, { row: 'own', overrides: ['limit=null'] });
  t.like(evaluated.record.deviations, [{ path: 'evaluation.limit', published: 1, value: null }]);
});

test.serial('classifiers of another number of classes start anew by themselves', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const set of ['camvid', 'cityscapes']) {
    const generated = await fcn(['datasets', 'generate', set, '--images', '4', '--size', '64x96'], { cwd });
    t.is(generated.code, 0, generated.stderr);
  }
  const first = await fcn([...TRAIN, ROW, '--json'], { cwd });
  t.is(first.code, 0, first.stderr);
  const { weights } = JSON.parse(first.stdout) as Printed;
  const tuned = await fcn([...TRAIN, 'camvid_r18-d8', '--set', `initialWeights=${weights}`], { cwd });
  t.is(tuned.code, 0, tuned.stderr);
  t.regex(
    tuned.stderr,
    /^Initial weights: 130 of 134 tensors from iteration-4\.safetensors\n {2}start anew \(another size\): decode_head\.conv_seg, auxiliary_head\.conv_seg$/m,
  );
  const kept = path.join(cwd, 'results', 'records');
  const record = readdirSync(kept).find((file) => file.startsWith('camvid'))!;
  const { details } = JSON.parse(readFileSync(path.join(kept, record), 'utf8')) as RunRecord;
  t.like(details.train!.initialWeights, { loaded: 130, missing: [], unexpected: [], wrongShape: [] });
  t.is(details.train!.initialWeights!.reset.length, 4);
  const verified = await fcn(['results', 'add', kept], { cwd });
  t.is(verified.code, 0, verified.stderr);
});
