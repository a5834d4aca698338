import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeLabels } from '../../src/data/decode.js';
import { startEngine } from '../../src/engines/start.js';
import { ConfusionMatrix } from '../../src/evaluation/confusion.js';
import { type EvaluateOptions, evaluate } from '../../src/evaluation/evaluate.js';
import type { NetworkCase } from '../../src/parity/network/case.js';
import type { EvaluationRecipe, Experiment } from '../../src/recipe/experiment.js';
import { InterruptedError, UserError } from '../../src/support/errors.js';
import { tinyExperiment } from '../helpers/experiments.js';
import { temporaryFolder } from '../helpers/folder.js';
import { oracleCase, oracleCaseNames } from '../helpers/oracle.js';

const CLASSES = 19;

/** The case's two labelled images as a data set, with its description. */
async function dataSet(root: string, oracle: NetworkCase): Promise<string> {
  for (const [folder, prefix] of [
    ['images', 'img'],
    ['labels', 'lab'],
  ] as const) {
    await mkdir(path.join(root, 'two', folder), { recursive: true });
    for (const name of ['a', 'b'])
      await cp(oracle.folder.file(`${prefix}_${name}.png`), path.join(root, 'two', folder, `${name}.png`));
  }
  const source = { images: 'images', labels: 'labels', imageSuffix: '.png', labelSuffix: '.png' };
  const description = {
    name: 'Two images',
    folder: 'two',
    ignoreIndex: 255,
    reduceZeroLabel: false,
    obtain: 'It is part of the tests.',
    splits: { val: [source] },
    classes: Array.from({ length: CLASSES }, (_, k) => ({ name: `class ${k}`, colour: [k, k, k] })),
  };
  const file = path.join(root, 'two.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify(description));
  return file;
}

async function options(t: ExecutionContext, oracle: NetworkCase): Promise<EvaluateOptions> {
  const dataRoot = await temporaryFolder(t);
  const settings = oracle.meta.test;
  const evaluation: EvaluationRecipe = {
    imageScaleWh: settings.img_scale_wh,
    mode: 'whole',
    cropHw: null,
    strideHw: null,
    ratios: settings.ratios,
    limit: null,
  };
  const tiny = tinyExperiment();
  const experiment: Experiment = {
    ...tiny,
    model: oracle.model,
    evaluation,
    data: { ...tiny.data, dataset: await dataSet(dataRoot, oracle) },
  };
  const engine = await startEngine({ engine: 'wasm' });
  return { experiment, engine, dataRoot, weights: oracle.weights(), multiScale: false };
}

const run = oracleCaseNames().includes('r18') ? test.serial : test.serial.skip;

for (const multiScale of [false, true]) {
  run(`from files to figures, ${multiScale ? 'multi-scale and mirrored' : 'single scale'}`, async (t) => {
    const oracle = oracleCase('r18');
    const given = await options(t, oracle);
    const predictions = path.join(given.dataRoot, 'predictions');
    const before = given.engine.tf.memory().numTensors;
    const result = await evaluate({ ...given, multiScale, predictions });
    t.is(given.engine.tf.memory().numTensors, before);

    const expected = new ConfusionMatrix(CLASSES);
    let allowed = 0;
    for (const name of ['a', 'b']) {
      const reference = `${multiScale ? 'ms_' : ''}whole_${name}`;
      const label = await decodeLabels(oracle.folder.file(`lab_${name}.png`));
      expected.add(oracle.folder.octets(`${reference}_pred.npy`).data, label.data);
      allowed += oracle.meta.argmax_margins[reference]!.below_1e_4;
    }
    // Every pixel that was predicted otherwise moves one count from one cell to another.
    const rows = expected.toRows();
    const moved = result.confusion.flat().reduce((sum, count, i) => sum + Math.abs(count - rows.flat()[i]!), 0) / 2;
    t.true(moved <= allowed, `${moved} pixels differ, at most ${allowed} may`);
    t.is(result.images, 2);
    t.is(result.perClass.length, CLASSES);
    t.true(result.mIoU > 0 && result.mIoU < 1);
    t.deepEqual((await readdir(predictions)).sort(), ['a.png', 'b.png']);
  });
}

run('an abort ends the workers and leaves no tensor', async (t) => {
  const given = await options(t, oracleCase('r18'));
  const before = given.engine.tf.memory().numTensors;
  const controller = new AbortController();
  const running = evaluate({ ...given, signal: controller.signal, onProgress: () => controller.abort() });
  await t.throwsAsync(running, { instanceOf: InterruptedError, message: /after 1 of 2/ });
  t.is(given.engine.tf.memory().numTensors, before);
});

run('a data set with other classes than the row is refused before anything is read', async (t) => {
  const given = await options(t, oracleCase('r18'));
  const model = { ...given.experiment.model, classes: 21 };
  await t.throwsAsync(evaluate({ ...given, experiment: { ...given.experiment, model } }), {
    instanceOf: UserError,
    message: /21 classes.* two 19/,
  });
});

run('predictions that cannot be written end with the folder named', async (t) => {
  const given = await options(t, oracleCase('r18'));
  const file = path.join(given.dataRoot, 'file');
  await writeFile(file, '');
  const error = await t.throwsAsync(evaluate({ ...given, predictions: file }), { instanceOf: UserError });
  t.regex(error.message, /file/);
});
