import { withoutControls } from '../support/format.js';

/**
 * A weights file breaks its format, is something else, or asks for something that is refused. The message says what and where
 * inside the file; the reader of the whole file adds the file's name and makes it a `UserError`.
 */
export class MalformedFileError extends Error {
  override readonly name: string = 'MalformedFileError';

  constructor(
    message: string,
    /** What the user can do; absent where nothing helps but another file. */
    readonly next?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The same, with its place in the file. */
  at(place: string): MalformedFileError {
    return new MalformedFileError(`${this.message} (${place})`, this.next, { cause: this });
  }
}

/** A weights file asks for what only an attack would need. */
export class HostileFileError extends MalformedFileError {
  override readonly name = 'HostileFileError';

  constructor(
    message: string,
    /** What the file names that is reason to refuse it, `module.name`; null where it is no name. */
    readonly global: string | null = null,
    options?: ErrorOptions,
  ) {
    super(message, undefined, options);
  }

  override at(place: string): HostileFileError {
    return new HostileFileError(`${this.message} (${place})`, this.global, { cause: this });
  }
}

const LONGEST_QUOTE = 120;

/** Text out of an untrusted file, made safe to print: quoted, escaped, shortened. */
export function quote(text: string): string {
  // JSON leaves C1 control characters and direction marks as they are; a terminal would obey them.
  return withoutControls(JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text));
}
