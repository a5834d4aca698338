/**
 * Exit codes of every command. `failed`: a check found a fault; `diverged`: a loss, gradient or logit was not finite, and would be
 * again; `tryAgain`: the same command may succeed later (EX_TEMPFAIL of sysexits.h); after a signal: 128 plus its number.
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
 * A mistake that the user can fix: a wrong flag, a missing folder, a broken input file. The command prints the message without
 * a stack trace and exits with code 2. The message is one line: what was wrong, where (file, line or key) and what was expected.
 * `next` says what to do.
 */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly exitCode: number = ExitCode.userError;

  constructor(
    message: string,
    readonly next?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** One of several problems that an error reports. */
export interface ReportedProblem {
  readonly message: string;
  /** Commands that fix it, one a line: each of them alone does; null if there is none. */
  readonly next: string | null;
}

/** Everything that prevents some work, found before it starts. */
export class SeveralProblems extends UserError {
  override readonly name = 'SeveralProblems';

  /** @param problems At least one. */
  constructor(readonly problems: readonly ReportedProblem[]) {
    const next = problems.flatMap((problem) => problem.next ?? []).join('\n');
    super(problems.map(({ message }) => message).join(' '), next === '' ? undefined : next);
  }
}

/** Another process uses what is needed, or it is not available now: the same command may succeed later. */
export class BusyError extends UserError {
  override readonly name = 'BusyError';
  override readonly exitCode = ExitCode.tryAgain;
}

/** A signal, a time limit or an abort stopped the work, at a point where everything done is saved. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';

  constructor(
    message: string,
    /** 130 or 143 after a signal; 75 after a time limit. */
    readonly exitCode: number = ExitCode.interrupted,
    /** How to resume. */
    readonly next?: string,
  ) {
    super(message);
  }

  /** The error for work that this signal aborted, with the exit code of the signal's reason. */
  static of(signal: AbortSignal | undefined, message: string): InterruptedError {
    const reason: unknown = signal?.reason;
    return new InterruptedError(message, reason instanceof InterruptedError ? reason.exitCode : undefined);
  }
}
