import { Config } from '@oclif/core/config';
import { run } from '@oclif/core/run';
import { settings } from '@oclif/core/settings';
import { packageRoot } from '../support/package.js';
import { explainError, reportError } from './base.js';

/** Runs the command line, e.g. `['list', '--json']`. Never rejects: errors are printed and set the process's exit code. */
export async function main(argv: string[]): Promise<void> {
  // The compiled code is what runs, also in a checkout where the TypeScript lies beside it.
  settings.enableAutoTranspile = false;
  try {
    await run(argv, await Config.load(packageRoot()));
  } catch (error) {
    reportError(explainError(error), argv.includes('--json'));
  }
}
