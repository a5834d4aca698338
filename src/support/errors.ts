/**
 * Exit codes of every command; `failed`: a check was done, and what it looked at is not as it should be; `diverged`: a loss,
 * gradient or logit was not finite, which the same command would only meet again; `tryAgain`: the same command can go on later
 * (EX_TEMPFAIL of sysexits.h); after a signal, 128 and its number.
 */
export const ExitCode = {
  success: 0,
  bug: 1,
  failed: 1,
  userError: 2,
  diverged: 3,
  tryAgain: 75,
  interrupted: 130,
  terminated: 143,
} as const;

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

/** What is asked for is in use by another process, or could not be had now: the same command can succeed later. */
export class BusyError extends UserError {
  override readonly name = 'BusyError';
  override readonly exitCode = ExitCode.tryAgain;
}

/** The work was interrupted (signal, time limit or abort) at a point where what is done is saved. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';

  constructor(
    message: string,
    /** 130 or 143 after a signal; 75 where the program stopped by itself. */
    readonly exitCode: number = ExitCode.interrupted,
    /** How to go on. */
    readonly next?: string,
  ) {
    super(message);
  }

  /** Says where the work stopped that this signal aborted; the exit code is of the signal's own reason. */
  static of(signal: AbortSignal | undefined, message: string): InterruptedError {
    const reason: unknown = signal?.reason;
    return new InterruptedError(message, reason instanceof InterruptedError ? reason.exitCode : undefined);
  }
}
