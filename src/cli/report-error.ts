import { stripVTControlCharacters } from 'node:util';
import { ExitCode, InterruptedError, UserError } from '../support/errors.js';
import { printable, printableJson } from '../support/format.js';
import { nearest } from '../support/suggest.js';

/** An error as the user is told about it. `stack` is there only where the error is a bug of this program. */
export interface ErrorReport {
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
