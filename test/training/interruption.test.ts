import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { loadDataset } from '../../src/data/description.js';
import { generateDataset as generate } from '../../src/datasets/generate/generate.js';
import { startEngine } from '../../src/engines/selection.js';
import { resolve } from '../../src/recipe/resolve.js';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { sha256File } from '../../src/support/files.js';
import type { TrainOptions } from '../../src/training/options.js';
import { train } from '../../src/training/train.js';
import { temporaryFolder } from '../helpers/folder.js';

/** Steps of some tenths of a second, so that the event loop runs in the middle of them. */
const CHANGES = ['width=8', 'training.batch=2', 'data.cropHw=[128,256]', 'data.imageScaleWh=[256,128]'];

test('a step that takes too long is abandoned: nothing of it is saved, and the end is the same to the bit', async (t) => {
  const folder = await temporaryFolder(t);
  const dataset = await loadDataset('cityscapes');
  await generate({
    dataset,
    directory: path.join(folder, 'data', dataset.folder),
    images: 4,
    size: { height: 64, width: 128 },
    seed: 0,
  });
  const overrides = [...CHANGES, 'iterations=5', 'checkpointEvery=2', 'logEvery=1'];
  const options: Omit<TrainOptions, 'directory'> = {
    experiment: resolve({ row: 'fcn_r18-d8_512x1024_80k_cityscapes', profile: 'smoke', overrides }),
    engine: await startEngine({ engine: 'wasm' }),
    dataRoot: path.join(folder, 'data'),
    keepCheckpoints: 5,
    mostSecondsLost: 3600,
    patienceMilliseconds: 0,
  };
  const directory = path.join(folder, 'run');
  const controller = new AbortController();
  let done = 0;
  const interrupted = train({
    ...options,
    directory,
    signal: controller.signal,
    // Asked after each step, once it is known whether training ends there: the abort is heard in the middle of the next.
    saveRequested: () => {
      if (++done === 3) controller.abort(new InterruptedError('', ExitCode.terminated));
      return false;
    },
  });
  const error = await t.throwsAsync(interrupted, {
    instanceOf: InterruptedError,
    message:
      /^Interrupted in the middle of iteration 4 of 5, .* Training resumes after iteration 2, the last one saved: it and the one before are repeated\.$/,
  });
  t.is(error.exitCode, ExitCode.terminated);
  t.deepEqual(
    (await readdir(path.join(directory, 'checkpoints'))).filter((name) => name.endsWith('.json')),
    ['iteration-2.json'],
  );

  const resumed = await train({ ...options, directory });
  const whole = await train({ ...options, directory: path.join(folder, 'whole') });
  t.is(await sha256File(resumed.weights), await sha256File(whole.weights));
  const losses = (run: string) =>
    readFileSync(path.join(folder, run, 'log.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { loss: number }).loss);
  t.deepEqual(losses('run'), losses('whole'));
});
