import { Config } from '@oclif/core/config';
import { run } from '@oclif/core/run';
import { settings } from '@oclif/core/settings';
import { packageRoot } from '../support/package.js';
import { explainError, reportError } from './base.js';

/** Runs a command line, such as `['list', '--json']`. Never rejects: an error is printed and sets the exit code. */
export async function main(argv: string[]): Promise<void> {
  // Run the compiled code, even in a checkout with the TypeScript sources.
  settings.enableAutoTranspile = false;
  try {
    await run(argv, await Config.load(packageRoot()));
  } catch (error) {
    reportError(explainError(error), argv.includes('--json'));
  }
}
