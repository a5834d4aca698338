// Runs fcn as a user would, from other scripts.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './setup.mjs';

/** Shows and runs one command in the project's folder. If it fails, this process ends with its exit code. */
export function fcn(...parameters) {
  process.stderr.write(`\n$ fcn ${parameters.join(' ')}\n`);
  const { status, signal } = spawnSync(process.execPath, [path.join('bin', 'run.js'), ...parameters], {
    cwd: root,
    stdio: 'inherit',
  });
  if (signal !== null) process.exit(130);
  if (status !== 0) process.exit(status);
}
