import { cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { readRecord } from '../../src/records/record.js';
import { fcn } from '../helpers/command.js';
import { generated } from '../helpers/datasets.js';
import { KEPT_RUN as BEFORE, KEPT_ROW as ROW } from '../helpers/kept-run.js';

// Commit 4ebbb42 began the run: it was interrupted after 2 of 4 iterations.
const SETTINGS = ['width=2', 'training.batch=2', 'iterations=4', 'checkpointEvery=2', 'logEvery=1'];
const TRAIN = ['train', ROW, '--profile', 'smoke', '--engine', 'wasm', ...SETTINGS.flatMap((one) => ['--set', one])];

test('a run that an older version began is read, resumed and ends with the same bits', async (t) => {
  const { dataRoot } = await generated(t, 'cityscapes', 4, 64, 128);
  const { run } = readRecord(path.join(BEFORE, 'record.json'));
  const command = (runs: string) => [
    ...TRAIN,
    ...['--data-root', dataRoot, '--results', path.join(dataRoot, 'results'), '--runs', path.join(dataRoot, runs)],
  ];
  await cp(BEFORE, path.join(dataRoot, 'before', ROW, run), { recursive: true });
  const resumed = await fcn(command('before'), { cwd: dataRoot });
  t.is(resumed.code, 0, resumed.stderr);
  t.regex(resumed.stderr, new RegExp(`run ${run}`));
  t.regex(resumed.stderr, /after iteration 2 of 4/);
  const whole = await fcn([...command('whole'), '--json'], { cwd: dataRoot });
  t.is(whole.code, 0, whole.stderr);
  const { directory } = JSON.parse(whole.stdout) as { directory: string };
  for (const file of ['iteration-4.safetensors', 'iteration-4.optimizer.safetensors']) {
    const read = (folder: string) => readFile(path.join(folder, 'checkpoints', file));
    t.deepEqual(await read(path.join(dataRoot, 'before', ROW, run)), await read(directory), file);
  }
});
