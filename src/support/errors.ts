/**
 * Exit codes of every command; `failed`: a check was done, and what it looked at is not as it should be; `diverged`: a loss or
 * gradient was not finite, which the same command would only meet again.
 */
export const ExitCode = { success: 0, bug: 1, failed: 1, userError: 2, diverged: 3, interrupted: 130 } as const;

/**
 * A mistake that the user can mend: a wrong flag, a missing folder, a broken input file. The command prints the message,
 * without a stack trace, and exits with code 2.
 *
 * The message is one line that says what was wrong, where (file, line or key) and what was expected; `next` says what to do.
 */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly exitCode: number = ExitCode.userError;

  constructor(
    message: string,
    /** What to do next, printed on a line of its own. */
    readonly next?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The run was interrupted (signal or abort); its state is saved. Exit code 130. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly exitCode = ExitCode.interrupted;
}
