import { stripVTControlCharacters } from 'node:util';
import { Command } from '@oclif/core/command';
import type { Input, OutputFlags, ParserOutput } from '@oclif/core/interfaces';
import { preferAdapter } from '../engines/webgpu/preference.js';
import { launchedBy, startedBySrun } from '../parallel/launched.js';
import { ExitCode, InterruptedError, type ReportedProblem, SeveralProblems, UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { parseDuration, printable, printableJson } from '../support/format.js';
import { callAfter } from '../support/pauses.js';
import { nearest } from '../support/suggest.js';
import type { DisplayMode } from '../terminal/display.js';
import { writeAbove } from '../terminal/redraw.js';
import type { NextStep } from './next-steps.js';
import { fitStandardError } from './stderr.js';

/** Values of any flags, or arguments, by name. */
type Parsed = OutputFlags<Record<string, never>>;

/** What the user sees of an error. `stack` is set only if the error is a bug of this program. */
interface ErrorReport {
  readonly message: string;
  readonly next: string | null;
  readonly code: number;
  /** Each problem by itself, if the error reports what was found before a start. */
  readonly problems?: readonly ReportedProblem[];
  readonly stack?: string;
}

/** An error of oclif's own: a mistake in the command line. */
interface CommandLineError extends Error {
  readonly oclif: { readonly exit?: number };
  /** In "nonexistent flag" errors: the flags as typed. */
  readonly flags?: readonly string[];
}

function isCommandLineError(error: unknown): error is CommandLineError {
  return error instanceof Error && typeof (error as Partial<CommandLineError>).oclif?.exit === 'number';
}

/** Describes an error: a user's mistake, an interruption or a bug. `context` helps to suggest the right flag. */
export function explainError(
  error: unknown,
  context: { readonly flags?: readonly string[]; readonly command?: string | undefined } = {},
): ErrorReport {
  if (error instanceof UserError || error instanceof InterruptedError) {
    return {
      message: error.message,
      next: error.next ?? null,
      code: error.exitCode,
      ...(error instanceof SeveralProblems && { problems: error.problems }),
    };
  }
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
  // oclif's messages have several lines, colours in a terminal, and advice at the end.
  const [first = '', ...others] = stripVTControlCharacters(error.message)
    .replace(/\nSee more help with --help$/, '')
    .split('\n')
    .map((line) => line.trim().replaceAll(/\s{2,}/g, ': '))
    .filter((line) => line !== '')
    .map((line) =>
      line.replace(
        /^All of the following must be provided when using (--[\w-]+): (.*)$/,
        (_, flag: string, needed: string) => `${flag} also needs ${needed.split(', ').join(' and ')}`,
      ),
    );
  // Several mistakes have a line each, below a title.
  const whole = (
    /^The following errors? occurred:$/.test(first) ? others.join('; ') : [first, ...others].join(' ')
  ).replace(
    /^Parsing (--[\w-]+) Expected (.*?) but received: (.*?)\.?$/,
    (_, flag: string, expected: string, given: string) => `${flag} ${given}: expected ${expected}.`,
  );
  // What the parser's authors think that a developer may have got wrong.
  const message = whole.replace(/ Note: --[\w-]+ allows multiple values\. .*$/s, '');
  const typed = Array.isArray(error.flags) ? error.flags[0] : undefined;
  const meant = typed?.startsWith('--') ? nearest(typed.slice(2), flags) : undefined;
  const help = `See fcn ${command === undefined ? '' : `${command.replaceAll(':', ' ')} `}--help.`;
  return {
    message: message.endsWith('.') ? message : `${message}.`,
    next: meant === undefined ? help : `Did you mean --${meant}? ${help}`,
    code: ExitCode.userError,
  };
}

/** Writes lines to standard error, with control characters escaped. */
function writeError(text: string): void {
  writeAbove(() => process.stderr.write(`${fitStandardError(printable(text))}\n`));
}

/** Prints an error (as JSON on standard output, or as lines on standard error) and sets the exit code. */
export function reportError(report: ErrorReport, asJson: boolean): void {
  process.exitCode = report.code;
  if (asJson) {
    process.stdout.write(`${printableJson({ error: report })}\n`);
    return;
  }
  for (const { message, next } of report.problems ?? [{ ...report, message: report.stack ?? report.message }]) {
    writeError(`${report.stack === undefined ? 'error: ' : ''}${message}`);
    // Several commands are alternatives.
    if (next !== null) writeError(`next: ${next.replaceAll('\n', '\n  or: ')}`);
  }
}

/** Whether FCN_QUIET asks for no notes and no progress on standard error. Errors are shown all the same. */
function isQuiet(): boolean {
  return !['', '0', 'false'].includes(process.env['FCN_QUIET'] ?? '');
}

/** A second signal within this time was sent together with the first. */
const SECOND_SIGNAL_AFTER_MILLISECONDS = 250;

/**
 * The base class of all commands. `run()` returns what `--json` prints. Results go to standard output, notes and progress to standard
 * error, with --json, too; FCN_QUIET silences them.
 */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  private readonly stopListening: (() => void)[] = [];
  /** Messages of `noteLeftOut`. */
  private readonly leftOut = new Set<string>();
  private readonly outputAborter = new AbortController();
  /**
   * Whether this command is that of a job's task: nobody sits at its keyboard, and `interruptSignal` is also aborted when the worker that
   * started this process ends. One of several processes hears from its launcher instead.
   */
  protected isTask = false;

  abstract override run(): Promise<object>;

  protected override async init(): Promise<void> {
    await super.init();
    // Before oclif's own listener, whose error nobody would catch.
    process.stdout.prependListener('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') return this.outputAborter.abort();
      reportError(explainError(explainFileError(error, 'standard output', 'write')), false);
      process.exit();
    });
    // Work continues even if its progress cannot be written.
    process.stderr.on('error', () => {});
  }

  /** Parses the command line, and passes on which GPU is wanted: a process has one engine. */
  protected override async parse<F extends Parsed, B extends Parsed, A extends Parsed>(
    options?: Input<F, B, A>,
    argv?: string[],
  ): Promise<ParserOutput<F, B, A>> {
    const parsed = await super.parse<F, B, A>(options, argv);
    const { adapter, 'allow-software-adapter': allowSoftware } = parsed.flags as Readonly<Record<string, unknown>>;
    preferAdapter({
      adapter: typeof adapter === 'string' ? adapter : undefined,
      allowSoftware: allowSoftware === true,
    });
    return parsed;
  }

  /** Is aborted when nobody reads standard output any more, as after `| head`. */
  protected get outputClosed(): AbortSignal {
    return this.outputAborter.signal;
  }

  /** Writes a result to standard output, with control characters escaped; nothing with --json. `coloured`: keeps colours. */
  protected print(text: string, options: { readonly coloured?: boolean } = {}): void {
    if (!this.jsonEnabled()) process.stdout.write(`${printable(text, options)}\n`);
  }

  /** What --json prints. */
  protected override logJson(json: unknown): void {
    process.stdout.write(`${printableJson(json)}\n`);
  }

  /** Writes a note to standard error, unless FCN_QUIET is set. */
  protected note(text: string): void {
    if (!isQuiet()) writeError(text);
  }

  /** Suggests what to do next, on standard error; nothing with --json. */
  protected async suggest(stepsAfter: (known: typeof import('./next-steps.js')) => readonly NextStep[]): Promise<void> {
    if (this.jsonEnabled()) return;
    const known = await import('./next-steps.js');
    const steps = stepsAfter(known);
    if (steps.length > 0) this.note(`\n${known.formatNextSteps(steps)}`);
  }

  /** Whether a flag stands in the command line, instead of its default or an environment variable. */
  protected isGiven(flag: string): boolean {
    return this.argv.some((argument) => argument === `--${flag}` || argument.startsWith(`--${flag}=`));
  }

  /** Whether the user says where the data sets are; otherwise a run may know better than the default. */
  protected isDataRootGiven(): boolean {
    return this.isGiven('data-root') || Boolean(process.env['FCN_DATA_ROOT']);
  }

  /** Names a broken file that is left out, once, on standard error; with FCN_QUIET, too. */
  protected readonly noteLeftOut = ({ message }: UserError): void => {
    if (this.leftOut.has(message)) return;
    this.leftOut.add(message);
    writeError(`Left out: ${message}`);
  };

  /** How to show progress on standard error: redrawn in place in a terminal, else as lines; nothing with FCN_QUIET. */
  protected displayMode(): DisplayMode {
    if (isQuiet()) return 'silent';
    return process.stderr.isTTY ? 'live' : 'plain';
  }

  /** Reports on standard error that a part of the work failed; with FCN_QUIET only if no JSON document will hold it. */
  protected noteError(error: unknown): void {
    if (!(isQuiet() && this.jsonEnabled())) reportError(explainError(error), false);
  }

  /**
   * Is aborted with an `InterruptedError` at the first Ctrl-C (SIGINT) or SIGTERM, or after a time limit ("3h50m"), so that work can
   * stop at a safe point. A second signal ends the process at once.
   */
  protected interruptSignal(timeLimit?: string): AbortSignal {
    // Nobody sits at the keyboard of a task.
    const hint = this.isTask ? '' : ' Press Ctrl-C again to stop at once.';
    return this.endSignal(() => this.note(`\nInterrupted: stopping at the next safe point.${hint}`), timeLimit);
  }

  /** As `interruptSignal`, for a command that only shows: it has nothing to save, so it says nothing. Also if nobody reads on. */
  protected viewerSignal(): AbortSignal {
    return AbortSignal.any([this.endSignal(() => {}), this.outputClosed]);
  }

  /** As `interruptSignal`, for a command that works until it is told to stop. */
  protected stopSignal(): AbortSignal {
    return this.endSignal(() =>
      this.note('\nStopping when the current request is done. Press Ctrl-C again to stop at once.'),
    );
  }

  private endSignal(onInterrupt: () => void, timeLimit?: string): AbortSignal {
    const controller = new AbortController();
    // Signals that came while the main thread was busy arrive together: nobody has seen the reply to the first one yet.
    let interrupted = false;
    let replyIsSeen = false;
    const interrupt = (signal: 'SIGINT' | 'SIGTERM') => {
      // srun and Slurm itself may both pass one on, at any distance; who is in a hurry has scancel.
      if (interrupted && (!replyIsSeen || startedBySrun())) return;
      const code = signal === 'SIGINT' ? ExitCode.interrupted : ExitCode.terminated;
      if (interrupted) process.exit(code);
      interrupted = true;
      setTimeout(() => {
        replyIsSeen = true;
      }, SECOND_SIGNAL_AFTER_MILLISECONDS).unref();
      onInterrupt();
      controller.abort(new InterruptedError(`Interrupted by ${signal}.`, code));
    };
    this.listen('SIGINT', interrupt);
    this.listen('SIGTERM', interrupt);
    if (this.isTask && launchedBy() === null) {
      const end = () => {
        if (interrupted) return;
        interrupted = true;
        controller.abort(new InterruptedError('The worker of this task has ended.', ExitCode.terminated));
      };
      process.once('disconnect', end);
      this.stopListening.push(() => process.off('disconnect', end));
      // The channel alone must not keep this process running.
      process.channel?.unref();
      if (!process.connected) end();
    }
    if (timeLimit !== undefined) {
      const end = () => {
        this.note(`\nThe time limit of ${timeLimit} is over: stopping at the next safe point.`);
        controller.abort(new InterruptedError(`The time limit of ${timeLimit} is over.`, ExitCode.tryAgain));
      };
      this.stopListening.push(callAfter(parseDuration(timeLimit) * 1000, end));
    }
    return controller.signal;
  }

  /** For a command that only watches: sets the exit code of the interruption, if one ended it. */
  protected setInterruptionCode(signal: AbortSignal): void {
    const reason: unknown = signal.reason;
    if (reason instanceof InterruptedError) process.exitCode = reason.exitCode;
  }

  /** The returned function says whether SIGUSR1, a request to save and continue, came since its last call. Not on Windows. */
  protected saveRequests(): () => boolean {
    let requested = false;
    const request = () => {
      requested = true;
      this.note('Saving at the next safe point.');
    };
    if (process.platform !== 'win32') this.listen('SIGUSR1', request);
    return () => {
      const was = requested;
      requested = false;
      return was;
    };
  }

  private listen<Signal extends NodeJS.Signals>(signal: Signal, listener: (signal: Signal) => void): void {
    const listening = listener as (signal: NodeJS.Signals) => void;
    process.on(signal, listening);
    this.stopListening.push(() => process.off(signal, listening));
  }

  protected override async catch(error: Error): Promise<void> {
    // Otherwise oclif warns the developer if a command fails before it parses its flags.
    this.parsed = true;
    const flags = Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags, help: null, json: null });
    reportError(explainError(error, { flags, command: this.id }), this.jsonEnabled());
  }

  protected override async finally(): Promise<void> {
    for (const stop of this.stopListening) stop();
  }
}
