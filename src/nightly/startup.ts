import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { packageRoot } from '../support/package.js';
import type { Measurement } from './entry.js';

/** Commands that everybody waits for; each does its whole work. */
const COMMANDS: readonly (readonly string[])[] = [['--version'], ['--help'], ['list'], ['table']];
const REPETITIONS = 5;

function secondsOf(parameters: readonly string[]): number {
  const start = performance.now();
  const { status, error, stderr } = spawnSync(process.execPath, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (error !== undefined || status !== 0) {
    throw new Error(`${parameters.join(' ')} ended with ${status}: ${error?.message ?? stderr.toString()}`);
  }
  return (performance.now() - start) / 1000;
}

/** Time of commands over that of a bare Node, in turn, the best of a few each: the least disturbed. */
export function startupMeasurements(hardware: string): Measurement[] {
  const program = path.join(packageRoot(), 'bin', 'run.js');
  const best = new Map<string, number>();
  const keep = (name: string, seconds: number) => best.set(name, Math.min(best.get(name) ?? seconds, seconds));
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    keep('node', secondsOf(['-e', '0']));
    for (const command of COMMANDS) keep(command.join(' '), secondsOf([program, ...command]));
  }
  return COMMANDS.map((command) => ({
    quantity: 'startup',
    subject: `fcn ${command.join(' ')}`,
    hardware,
    value: best.get(command.join(' '))! / best.get('node')!,
  }));
}
