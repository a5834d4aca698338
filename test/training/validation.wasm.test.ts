import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import { evaluate } from '../../src/evaluation/evaluate.js';
import { resolve } from '../../src/recipe/resolve.js';
import { InterruptedError } from '../../src/support/errors.js';
import { sha256File } from '../../src/support/files.js';
import type { Validation } from '../../src/training/options.js';
import { train } from '../../src/training/train.js';
import { generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'camvid_r18-d8';
const experiment = resolve({
  row: ROW,
  profile: 'smoke',
  overrides: [
    'width=4',
    'training.batch=2',
    'iterations=5',
    'logEvery=2',
    'checkpointEvery=100',
    'evaluation.limit=2',
    'data.cropHw=[32, 48]',
  ],
});

/** The result of a training: the hash of its weights, and the lines of its log without measured values. */
async function trained(t: ExecutionContext, dataRoot: string, attempts: readonly (Validation | undefined)[]) {
  const engine = await startEngine({ engine: 'wasm' });
  const directory = await temporaryFolder(t);
  const common = { experiment, engine, dataRoot, directory, keepCheckpoints: 2, mostSecondsLost: 300 };
  for (const validation of attempts.slice(0, -1)) {
    await t.throwsAsync(train({ ...common, validation }), { instanceOf: InterruptedError });
  }
  const { weights } = await train({ ...common, validation: attempts.at(-1) });
  const log = readFileSync(path.join(directory, 'log.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { secondsPerIteration, dataSeconds, processBytes, ...rest } = JSON.parse(line) as Record<string, unknown>;
      return rest;
    });
  return { weights: await sha256File(weights), log };
}

test.serial(
  'evaluations during training are logged, do not change it, and are repeated if they were interrupted',
  async (t) => {
    const { dataRoot } = await generated(t, 'camvid', 8, 64);
    const engine = await startEngine({ engine: 'wasm' });
    const evaluated: number[] = [];
    /** @param endedAt Iterations after which the evaluation is ended before it has a result. */
    const every2 = (...endedAt: number[]): Validation => ({
      every: 2,
      atEnd: false,
      evaluate: async (weights, iteration) => {
        evaluated.push(iteration);
        if (endedAt.includes(iteration)) throw new InterruptedError('Ended.');
        const { mIoU, mAcc, aAcc } = await evaluate({ experiment, engine, dataRoot, weights, multiScale: false });
        return { mIoU, mAcc, aAcc };
      },
    });
    const plain = await trained(t, dataRoot, [undefined]);
    const whole = await trained(t, dataRoot, [every2()]);
    t.deepEqual(evaluated, [2, 4]);
    t.is(whole.weights, plain.weights);
    const isValidation = ({ mode }: Record<string, unknown>) => mode === 'val';
    t.deepEqual(
      whole.log.filter((line) => !isValidation(line)),
      plain.log,
    );
    t.deepEqual(
      whole.log.map((line) => [line['iteration'], isValidation(line)]),
      [
        [2, false],
        [2, true],
        [4, false],
        [4, true],
        [5, false],
      ],
    );
    for (const { mIoU } of whole.log.filter(isValidation)) t.true((mIoU as number) >= 0 && (mIoU as number) <= 1);
    for (const line of plain.log) t.true((line['peakLiveTensorBytes'] as number) > (line['liveTensorBytes'] as number));

    evaluated.length = 0;
    const ended = await trained(t, dataRoot, [every2(2), every2(4), every2()]);
    t.deepEqual(evaluated, [2, 2, 4, 4]);
    t.deepEqual(ended, whole);
  },
);
