import { readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { loadDataset } from '../../src/data/description.js';
import { generateDataset as generate } from '../../src/datasets/generate/generate.js';
import type { Engine } from '../../src/engines/engine.js';
import { resolve } from '../../src/recipe/resolve.js';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { sha256File } from '../../src/support/files.js';
import type { TrainOptions } from '../../src/training/options.js';
import { TrainingStep } from '../../src/training/step.js';
import { train } from '../../src/training/train.js';
import { fcnProcess } from '../helpers/command.js';
import { withEngine } from '../helpers/engines.js';
import { colourBatch, tinyExperiment } from '../helpers/experiments.js';
import { temporaryFolder } from '../helpers/folder.js';
import { nonFiniteSuite } from './suites/non-finite.js';

const onWebgpu = withEngine('webgpu');
const ITERATIONS = 4;
const CHANGES = [
  'width=4',
  'training.batch=2',
  'pretrained=null',
  `iterations=${ITERATIONS}`,
  'checkpointEvery=2',
  'logEvery=1',
];

async function settings(t: ExecutionContext, engine: Engine): Promise<TrainOptions> {
  const folder = await temporaryFolder(t);
  const dataset = await loadDataset('cityscapes');
  const directory = path.join(folder, 'data', dataset.folder);
  await generate({ dataset, directory, images: 4, size: { height: 64, width: 128 }, seed: 0 });
  return {
    experiment: resolve({ row: 'fcn_r18-d8_512x1024_80k_cityscapes', profile: 'smoke', overrides: CHANGES }),
    engine,
    dataRoot: path.join(folder, 'data'),
    directory: path.join(folder, 'run'),
    keepCheckpoints: 2,
    mostSecondsLost: 3600,
  };
}

/** Hashes of the last checkpoint: parameters and velocities. */
async function lastHashes({ directory }: TrainOptions): Promise<string[]> {
  const names = ['safetensors', 'optimizer.safetensors'];
  return Promise.all(
    names.map((name) => sha256File(path.join(directory, 'checkpoints', `iteration-${ITERATIONS}.${name}`))),
  );
}

onWebgpu(
  'two trainings end with equal hashes, and one that was interrupted resumes to the bit in another folder',
  async (t, engine) => {
    const options = await settings(t, engine);
    await train(options);
    const expected = await lastHashes(options);
    const again = { ...options, directory: `${options.directory}-again` };
    await train(again);
    t.deepEqual(await lastHashes(again), expected);

    const controller = new AbortController();
    const interrupted = { ...options, directory: `${options.directory}-interrupted` };
    let done = 0;
    const saveRequested = () => {
      if (++done === 2) controller.abort(new InterruptedError('', ExitCode.terminated));
      return false;
    };
    await t.throwsAsync(train({ ...interrupted, signal: controller.signal, saveRequested }), {
      instanceOf: InterruptedError,
    });
    // As after a kill: another process finds only what is on the disk.
    const killed = { ...options, directory: `${options.directory}-killed` };
    await mkdir(path.dirname(killed.directory), { recursive: true });
    await cp(interrupted.directory, killed.directory, { recursive: true });
    await train(killed);
    t.deepEqual(await lastHashes(killed), expected);
  },
);

onWebgpu('losses are those of the wasm engine, to a millionth', async (t, engine) => {
  const options = await settings(t, engine);
  await train(options);
  const { dataRoot, directory } = options;
  const row = 'fcn_r18-d8_512x1024_80k_cityscapes';
  const changes = CHANGES.flatMap((change) => ['--set', change]);
  const runs = path.join(dataRoot, '..', 'runs');
  const parameters = ['train', row, '--profile', 'smoke', '--engine', 'wasm', '--data-root', dataRoot, '--runs', runs];
  const { code, stderr } = await fcnProcess([...parameters, ...changes], { cwd: path.dirname(dataRoot) });
  t.is(code, 0, stderr);
  const [run] = readdirSync(path.join(runs, row));
  const lossesIn = (folder: string) =>
    readFileSync(path.join(folder, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { loss: number }).loss);
  const [own, wasm] = [lossesIn(directory), lossesIn(path.join(runs, row, run!))];
  t.is(own.length, ITERATIONS);
  // The first steps only: rounding grows from step to step.
  for (const i of [0, 1, 2]) t.true(Math.abs(own[i]! / wasm[i]! - 1) < 1e-6, `${own[i]} and ${wasm[i]}`);
});

onWebgpu('a step waits for the device twice, and keeps its memory', async (t, engine) => {
  const step = new TrainingStep(engine, tinyExperiment());
  step.segmentor.initialise(0, false);
  for (let iteration = 0; iteration < 2; iteration++) await step.run(colourBatch(iteration), iteration);
  const { numTensors, numBytes } = engine.tf.memory();
  const allocated = engine.gpu!.allocatedBytes;
  const before = engine.gpu!.blockingReads;
  for (let iteration = 2; iteration < 4; iteration++) await step.run(colourBatch(iteration), iteration);
  t.is(engine.gpu!.blockingReads - before, 4);
  t.like(engine.tf.memory(), { numTensors, numBytes });
  t.is(engine.gpu!.allocatedBytes, allocated, 'the pool has all that a step needs');
  step.dispose();
});

// Here, because a process of its own would compile all programs again.
nonFiniteSuite('webgpu');

// Last: it leaves no device.
onWebgpu('a training that loses the device ends with 75 and says from where it resumes', async (t, engine) => {
  const options = await settings(t, engine);
  let done = 0;
  const saveRequested = () => {
    if (++done === 3) engine.gpu!.destroyDevice();
    return false;
  };
  const error = await t.throwsAsync(train({ ...options, saveRequested }), { instanceOf: InterruptedError });
  t.is(error.exitCode, ExitCode.tryAgain);
  t.regex(error.message, /was lost \(.*\)\. Training resumes after iteration 2, the last one saved/);
});
