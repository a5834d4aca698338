import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import { resolve } from '../../src/recipe/resolve.js';
import { InterruptedError } from '../../src/support/errors.js';
import { bestOf, better, readBest } from '../../src/training/checkpoint-folder.js';
import type { Validation } from '../../src/training/options.js';
import { train } from '../../src/training/train.js';
import { generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

const overrides = ['width=4', 'training.batch=2', 'iterations=6', 'logEvery=1', 'checkpointEvery=1'];
const experiment = resolve({ row: 'camvid_r18-d8', profile: 'smoke', overrides });

/** The mIoU after each iteration; iteration 6 is the last. */
const MIOU: Readonly<Record<number, number>> = { 1: 0.1, 2: 0.5, 3: 0.3, 4: 0.2, 5: 0.4, 6: 0.3 };

const iterationsIn = (folder: string) =>
  readdirSync(folder)
    .flatMap((name) => /^iteration-(\d+)\.json$/.exec(name)?.[1] ?? [])
    .map(Number);

test.serial('the highest mIoU is the best; of equal ones the newest', (t) => {
  const lines = [0.1, 0.4, 0.4, 0.2].map((mIoU, i) => ({
    mode: 'val' as const,
    iteration: i + 1,
    mIoU,
    mAcc: 0,
    aAcc: 0,
  }));
  t.deepEqual(bestOf(lines), { iteration: 3, mIoU: 0.4 });
  t.is(bestOf([]), null);
  t.deepEqual(better({ iteration: 3, mIoU: 0.4 }, { iteration: 5, mIoU: 0.39 }), { iteration: 3, mIoU: 0.4 });
});

test.serial('the best checkpoint stays through rotation and when training is resumed', async (t) => {
  const { dataRoot } = await generated(t, 'camvid', 8, 64);
  const engine = await startEngine({ engine: 'wasm' });
  const directory = await temporaryFolder(t);
  const folder = path.join(directory, 'checkpoints');
  const common = { experiment, engine, dataRoot, directory, keepCheckpoints: 1, mostSecondsLost: 300 };
  const scripted = (atEnd: boolean, endedAt?: number): Validation => ({
    every: 1,
    atEnd,
    evaluate: async (_, iteration) => {
      if (iteration === endedAt) throw new InterruptedError('Ended.');
      return { mIoU: MIOU[iteration]!, mAcc: 0.5, aAcc: 0.5 };
    },
  });
  await t.throwsAsync(train({ ...common, validation: scripted(false, 4) }), { instanceOf: InterruptedError });
  t.deepEqual(iterationsIn(folder).sort(), [2, 4]);
  t.deepEqual(await readBest(folder), { iteration: 2, mIoU: 0.5 });

  // The mark is a copy: it is made again from the log.
  rmSync(path.join(folder, 'best.json'));
  const { bestValidation } = await train({ ...common, validation: scripted(true) });
  t.deepEqual(bestValidation, { iteration: 2, mIoU: 0.5 });
  t.deepEqual(iterationsIn(folder).sort(), [2, 6]);
  t.deepEqual(await readBest(folder), { iteration: 2, mIoU: 0.5 });
  const validated = readFileSync(path.join(directory, 'log.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { mode?: string; iteration: number })
    .filter(({ mode }) => mode === 'val')
    .map(({ iteration }) => iteration);
  t.deepEqual(validated, [1, 2, 3, 4, 5, 6]);
});
