import path from 'node:path';
import test from 'ava';
import { SkippedSamples } from '../../src/data/problem.js';
import { startEngine } from '../../src/engines/selection.js';
import { resolve } from '../../src/recipe/resolve.js';
import { validationOf } from '../../src/runs/validation.js';
import { train } from '../../src/training/train.js';
import { generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

test.serial('an evaluation during training says which of its images it is at, and when it is over', async (t) => {
  const { dataRoot } = await generated(t, 'camvid', 8, 64);
  const engine = await startEngine({ engine: 'wasm' });
  const overrides = ['width=4', 'training.batch=2', 'iterations=2', 'evaluation.limit=2'];
  const experiment = resolve({ row: 'camvid_r18-d8', profile: 'smoke', overrides });
  const directory = await temporaryFolder(t);
  const skipped = await SkippedSamples.open(path.join(directory, 'skipped.jsonl'), 0, async () => {});
  const context = {
    ...{ experiment, engine, dataRoot, directory, skipped, keepCheckpoints: 2, mostSecondsLost: 300 },
    ...{ signal: new AbortController().signal, tensorboard: false, offline: true, weights: undefined },
    ...{ weightsKey: undefined, saveRequested: () => false, beforeWrite: async () => {}, onLoad: () => {} },
    evaluatesLast: true,
    note: (text: string) => t.fail(text),
  };
  const said: string[] = [];
  const images: unknown[] = [];
  const evaluated: number[] = [];
  const validation = validationOf(context, {
    every: 1,
    say: (text) => said.push(text),
    onImages: (evaluation) => images.push(evaluation),
    onFigures: async (iteration) => {
      evaluated.push(iteration);
    },
  });
  await train({ ...context, validation });
  t.deepEqual(evaluated, [1]);
  t.deepEqual(images, [{ iteration: 1, done: 1, total: 2 }, { iteration: 1, done: 2, total: 2 }, null]);
  t.regex(said[0]!, /^evaluation after iteration 1: image 1\/2, mIoU [\d.]+, .* left$/);
  t.is(said.length, 2);
});
