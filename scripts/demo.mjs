// The whole way on a small scale, from a fresh clone: set-up, a generated data set in Cityscapes' format, training,
// evaluation, benchmark, table.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { root, setUp } from './setup.mjs';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
// All of it below the ignored runs folder: a demo's record is none to keep.
const DATA = path.join('runs', 'demo', 'data');
const RUNS = path.join('runs', 'demo', 'runs');
const RESULTS = path.join('runs', 'demo', 'results');

await setUp();
// Left over from an earlier demo, which may have been broken off.
rmSync(path.join(root, DATA), { recursive: true, force: true });
fcn('datasets', 'generate', 'cityscapes', '--images', '48', '--size', '128x256', '--seed', '0', '--data-root', DATA);
fcn('reproduce', ROW, '--profile', 'smoke', '--data-root', DATA, '--runs', RUNS, '--results', RESULTS);
fcn('table', '--runs', RUNS, '--results', RESULTS);

/** Runs one command as a user would, and ends with its exit code where it fails. */
function fcn(...parameters) {
  process.stderr.write(`\n$ fcn ${parameters.join(' ')}\n`);
  const { status, signal } = spawnSync(process.execPath, [path.join('bin', 'run.js'), ...parameters], {
    cwd: root,
    stdio: 'inherit',
  });
  if (signal !== null) process.exit(130);
  if (status !== 0) process.exit(status);
}
