import { stripVTControlCharacters } from 'node:util';
import { Command } from '@oclif/core/command';
import { ExitCode, InterruptedError, UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { parseDuration, printable, printableJson } from '../support/format.js';
import { callAfter } from '../support/pauses.js';
import { nearest } from '../support/suggest.js';
import type { DisplayMode } from '../terminal/display.js';

/** An error as the user is told about it. `stack` is there only where the error is a bug of this program. */
interface ErrorReport {
  readonly message: string;
  readonly next: string | null;
  readonly code: number;
  readonly stack?: string;
}

/** What oclif adds to the errors of its own: mistakes in the command line. */
interface CommandLineError extends Error {
  readonly oclif: { readonly exit?: number };
  /** Of "nonexistent flag" errors: the flags as typed. */
  readonly flags?: readonly string[];
}

function isCommandLineError(error: unknown): error is CommandLineError {
  return error instanceof Error && typeof (error as Partial<CommandLineError>).oclif?.exit === 'number';
}

/** Sorts an error into user's mistake, interruption or bug. */
export function explainError(
  error: unknown,
  context: { readonly flags?: readonly string[]; readonly command?: string | undefined } = {},
): ErrorReport {
  if (error instanceof UserError) return { message: error.message, next: error.next ?? null, code: error.exitCode };
  if (error instanceof InterruptedError)
    return { message: error.message, next: error.next ?? null, code: error.exitCode };
  if (isCommandLineError(error)) return explainCommandLineError(error, context.flags ?? [], context.command);
  const bug = error instanceof Error ? error : new Error(String(error));
  return {
    message: bug.message || bug.name,
    next: 'This is a bug in fcn: please report it with the stack and the command.',
    code: ExitCode.bug,
    stack: bug.stack ?? String(bug),
  };
}

function explainCommandLineError(error: CommandLineError, flags: readonly string[], command?: string): ErrorReport {
  // oclif's messages go over several lines, have colours in a terminal, and end with advice of its own.
  const [first = '', ...others] = stripVTControlCharacters(error.message)
    .replace(/\nSee more help with --help$/, '')
    .split('\n')
    .map((line) => line.trim().replaceAll(/\s{2,}/g, ': '))
    .filter((line) => line !== '')
    .map((line) =>
      line.replace(
        /^All of the following must be provided when using (--[\w-]+): (.*)$/,
        (_, flag: string, needed: string) => {
          return `${flag} also needs ${needed.split(', ').join(' and ')}`;
        },
      ),
    );
  // Of several mistakes a line each, below a title.
  const message = /^The following errors? occurred:$/.test(first) ? others.join('; ') : [first, ...others].join(' ');
  const typed = Array.isArray(error.flags) ? error.flags[0] : undefined;
  const meant = typed?.startsWith('--') ? nearest(typed.slice(2), flags) : undefined;
  const help = `See fcn ${command === undefined ? '' : `${command.replaceAll(':', ' ')} `}--help.`;
  return {
    message: message.endsWith('.') ? message : `${message}.`,
    next: meant === undefined ? help : `Did you mean --${meant}? ${help}`,
    code: ExitCode.userError,
  };
}

/** Prints an error (as JSON on standard output, or as lines on standard error) and sets the exit code. */
export function reportError(report: ErrorReport, asJson: boolean): void {
  process.exitCode = report.code;
  if (asJson) {
    process.stdout.write(`${printableJson({ error: report })}\n`);
    return;
  }
  process.stderr.write(`${printable(report.stack ?? `error: ${report.message}`)}\n`);
  if (report.next !== null) process.stderr.write(`next: ${printable(report.next)}\n`);
}

/** A signal that comes this soon after the first was sent together with it. */
const SEEN_AFTER_MILLISECONDS = 250;

/**
 * What every command is built on. `run()` returns a JSON-able object: what `--json` prints.
 * Results go to standard output, everything said along the way to standard error.
 */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  private readonly stopListening: (() => void)[] = [];
  private readonly unread = new AbortController();

  abstract override run(): Promise<object>;

  protected override async init(): Promise<void> {
    await super.init();
    // Before oclif's own, which throws where nobody catches.
    process.stdout.prependListener('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') this.unread.abort();
      else reportUnwritten(error);
    });
    // Work goes on where nobody reads how far it is, or that cannot be written.
    process.stderr.on('error', () => {});
  }

  /** A signal that is aborted when nobody reads standard output any more, as after `| head`. */
  protected get outputClosed(): AbortSignal {
    return this.unread.signal;
  }

  /** Writes a result to standard output, without what a terminal would obey; nothing under --json. `coloured`: keeps colours. */
  protected print(text: string, options: { readonly coloured?: boolean } = {}): void {
    if (!this.jsonEnabled()) process.stdout.write(`${printable(text, options)}\n`);
  }

  /** What --json prints. */
  protected override logJson(json: unknown): void {
    process.stdout.write(`${printableJson(json)}\n`);
  }

  /** Says something about the work to standard error; nothing under --json. */
  protected note(text: string): void {
    if (!this.jsonEnabled()) process.stderr.write(`${printable(text)}\n`);
  }

  /** Whether a flag stands in the command line, instead of its default or an environment variable. */
  protected isGiven(flag: string): boolean {
    return this.argv.some((argument) => argument === `--${flag}` || argument.startsWith(`--${flag}=`));
  }

  /** How progress is shown: redrawn in place in a terminal, else as lines; nothing under --json. */
  protected displayMode(): DisplayMode {
    if (this.jsonEnabled()) return 'silent';
    // listr2 redraws only where standard output is a terminal too, though it is made to draw on standard error.
    return process.stdout.isTTY && process.stderr.isTTY ? 'live' : 'plain';
  }

  /** Says that a part of the work failed, as at the end of a command; nothing under --json. */
  protected noteError(error: unknown): void {
    if (!this.jsonEnabled()) reportError(explainError(error), false);
  }

  /**
   * A signal that is aborted, with an `InterruptedError` as its reason, at the first Ctrl-C (SIGINT) or SIGTERM, or when a
   * time limit ("3h50m") is over, so that work can stop at a safe point. A second signal ends the process at once.
   */
  protected interruptSignal(timeLimit?: string): AbortSignal {
    const controller = new AbortController();
    // Signals that came while the main thread was busy are heard one right after the other: nobody has seen the first one's
    // answer then.
    let heard = false;
    let answerIsSeen = false;
    const interrupt = (signal: 'SIGINT' | 'SIGTERM') => {
      if (heard && !answerIsSeen) return;
      const code = signal === 'SIGINT' ? ExitCode.interrupted : ExitCode.terminated;
      if (heard) process.exit(code);
      heard = true;
      setTimeout(() => {
        answerIsSeen = true;
      }, SEEN_AFTER_MILLISECONDS).unref();
      this.note('\nInterrupted: stopping at the next safe point. Press Ctrl-C again to stop at once.');
      controller.abort(new InterruptedError(`Interrupted by ${signal}.`, code));
    };
    this.listen('SIGINT', interrupt);
    this.listen('SIGTERM', interrupt);
    if (timeLimit !== undefined) {
      const end = () => {
        this.note(`\nThe time limit of ${timeLimit} is over: stopping at the next safe point.`);
        controller.abort(new InterruptedError(`The time limit of ${timeLimit} is over.`, ExitCode.tryAgain));
      };
      this.stopListening.push(callAfter(parseDuration(timeLimit) * 1000, end));
    }
    return controller.signal;
  }

  /** Ends what looks on while others work, with the exit code of the signal that did, if one did. */
  protected endLooking(signal: AbortSignal): void {
    const reason: unknown = signal.reason;
    if (reason instanceof InterruptedError) process.exitCode = reason.exitCode;
  }

  /** Tells whether SIGUSR1 came since the last call: a request to save and go on. Windows has no such signal. */
  protected saveRequests(): () => boolean {
    let requested = false;
    const request = () => {
      requested = true;
      this.note('Saving at the next safe point.');
    };
    if (process.platform !== 'win32') this.listen('SIGUSR1', request);
    return () => {
      const before = requested;
      requested = false;
      return before;
    };
  }

  private listen<Signal extends NodeJS.Signals>(signal: Signal, listener: (signal: Signal) => void): void {
    const listening = listener as (signal: NodeJS.Signals) => void;
    process.on(signal, listening);
    this.stopListening.push(() => process.off(signal, listening));
  }

  protected override async catch(error: Error): Promise<void> {
    // A command that fails before it parses its flags is no mistake of its author, which oclif would warn about.
    this.parsed = true;
    const flags = Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags, help: null, json: null });
    reportError(explainError(error, { flags, command: this.id }), this.jsonEnabled());
  }

  protected override async finally(): Promise<void> {
    for (const stop of this.stopListening) stop();
  }
}

/** Ends the process where a result could not be written. */
function reportUnwritten(error: NodeJS.ErrnoException): void {
  reportError(explainError(explainFileError(error, 'standard output', 'write')), false);
  process.exit();
}
