import { UserError } from '../support/errors.js';
import { shellWords } from '../support/format.js';

/** What is checked before a run, in this order. */
const CHECK_NAMES = [
  'data',
  'backbone',
  'weights',
  'engine',
  'precision',
  'memory',
  'disk',
  'folders',
  'scheduler',
] as const;

/** One thing that a run needs, and whether it is there. */
export interface RunCheck {
  readonly name: (typeof CHECK_NAMES)[number];
  /** `missing`: the run would not start; `warning`: it starts, but not as one might expect. */
  readonly state: 'ok' | 'missing' | 'warning';
  /** What was found, or is wrong, without the name of the row. */
  readonly text: string;
  /** Commands for a shell that fix it, one a line: each of them alone does. Null if there is nothing to fix. */
  readonly next: string | null;
}

/**
 * The user's command again with these flags, quoted for a shell; they replace those of the same name.
 * @param row Only for this row.
 */
export type CommandWith = (flags: readonly string[], row?: string) => string;

/** For callers that are not a command: the flags alone. */
export const flagsAlone: CommandWith = (flags) => shellWords(flags);

export const passed = (name: RunCheck['name'], text: string): RunCheck => ({ name, state: 'ok', text, next: null });

/** The check for an error that would prevent the run. @param next Commands that fix it. */
export function failed(name: RunCheck['name'], row: string, error: UserError, next: readonly string[]): RunCheck {
  return { name, state: 'missing', text: withoutRow(error.message, row), next: next.join('\n') };
}

/** A message without the name of its row at the beginning. Elsewhere the name may be a part of a path or a run, and stays. */
export function withoutRow(message: string, row: string): string {
  if (message.startsWith(`${row}: `)) return message.slice(row.length + 2);
  return message.startsWith(`${row} `) ? `The row${message.slice(row.length)}` : message;
}

/** Does a part of a check. Returns a user's mistake, and throws any other error. */
export async function orMistake<Result>(work: () => Result | Promise<Result>): Promise<Result | UserError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}
