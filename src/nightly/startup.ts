import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../support/package.js';
import type { Measurement } from './history.js';

/** Commands that everybody waits for; each does its whole work. */
const COMMANDS: readonly (readonly string[])[] = [['--version'], ['--help'], ['list'], ['table']];
const REPETITIONS = 9;

/** Makes a process say what processor time it took. */
const REPORTER = fileURLToPath(new URL('./report-cpu-time.cjs', import.meta.url));

/** Processor time of a Node process in `folder`, in seconds: a neighbour takes wall time from it, but hardly this. */
function cpuSecondsOf(parameters: readonly string[], folder: string): number {
  // Settings of whoever runs the night would make the commands read other folders.
  const environment = Object.entries(process.env).filter(([name]) => !/^(FCN_|NODE_OPTIONS$)/.test(name));
  const { status, error, stderr, output } = spawnSync(process.execPath, ['--require', REPORTER, ...parameters], {
    cwd: folder,
    env: Object.fromEntries(environment),
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  const seconds = Number(output?.[3]);
  if (error === undefined && status === 0 && seconds > 0) return seconds;
  throw new Error(`node ${parameters.join(' ')} ended with ${status}: ${error?.message ?? stderr}`);
}

/**
 * Processor time of commands over that of a bare Node, in turn, the least of a few each: the least disturbed. They run in an
 * empty folder: what `fcn table` takes must not depend on the records that lie around.
 * @throws Error where a command fails.
 */
export function startupMeasurements(hardware: string, repetitions = REPETITIONS): Measurement[] {
  const program = path.join(packageRoot(), 'bin', 'run.js');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-startup-'));
  const least = new Map<string, number>();
  const keep = (name: string, seconds: number) => least.set(name, Math.min(least.get(name) ?? seconds, seconds));
  try {
    for (let repetition = 0; repetition < repetitions; repetition++) {
      keep('node', cpuSecondsOf(['-e', '0'], folder));
      for (const command of COMMANDS) keep(command.join(' '), cpuSecondsOf([program, ...command], folder));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return COMMANDS.map((command) => ({
    quantity: 'startup',
    subject: `fcn ${command.join(' ')}`,
    hardware,
    value: least.get(command.join(' '))! / least.get('node')!,
  }));
}
