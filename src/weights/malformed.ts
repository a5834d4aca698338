import { withoutControls } from '../support/format.js';

/**
 * A weights file breaks its format, is something else, or asks for something that is refused. The message says what, and where in
 * the file. `readCheckpoint` adds the file's name and makes it a `UserError`.
 */
export class MalformedFileError extends Error {
  override readonly name: string = 'MalformedFileError';

  constructor(
    message: string,
    /** What the user can do; absent if only another file helps. */
    readonly next?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The same error with its place in the file. */
  at(place: string): MalformedFileError {
    return new MalformedFileError(`${this.message} (${place})`, this.next, { cause: this });
  }
}

/** A weights file asks for something that only an attack needs. */
export class HostileFileError extends MalformedFileError {
  override readonly name = 'HostileFileError';

  constructor(
    message: string,
    /** The name for which the file is refused, `module.name`; null if there is another reason. */
    readonly global: string | null = null,
    options?: ErrorOptions,
  ) {
    super(message, undefined, options);
  }

  override at(place: string): HostileFileError {
    return new HostileFileError(`${this.message} (${place})`, this.global, { cause: this });
  }
}

export const USE_ANOTHER_FILE =
  'Use another copy of the file, or another file; do not open this one with a program that runs what it holds.';

/** Advice that is safe only for whoever made the file. @param how What to do, as a clause without a full stop. */
export function adviceForOwnFile(how: string): string {
  return `If the file is your own, ${how}. Otherwise use another file; do not open this one with a program that runs what it holds.`;
}

export const SAVE_STATE_DICT = adviceForOwnFile(
  'save only the state_dict in Python: torch.save(MODEL.state_dict(), "weights.pth")',
);

const LONGEST_QUOTE = 120;

/** Text out of an untrusted file, made safe to print: quoted, escaped, shortened. */
export function quote(text: string): string {
  // JSON does not escape C1 control characters and direction marks, and a terminal would obey them.
  return withoutControls(JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text));
}
