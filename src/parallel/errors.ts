import { ExitCode, UserError } from '../support/errors.js';

/** "process 2 of 4": processes are counted from 0, as MPI does. */
export function processName(rank: number, size: number): string {
  return `process ${rank} of ${size}`;
}

/** Another process of the run is gone, or has failed. The same command resumes the run. */
export class LostProcessError extends UserError {
  override readonly name = 'LostProcessError';

  constructor(
    message: string,
    override readonly exitCode: number = ExitCode.tryAgain,
  ) {
    super(message);
  }
}
