import { appendFile, readFile } from 'node:fs/promises';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';

/** A sample that could not be read, and was left out. */
export interface SkippedSample {
  readonly split: string;
  /** The sample's name in its split. */
  readonly name: string;
  /** Why; names the file. */
  readonly reason: string;
}

/**
 * The samples that a run leaves out as it goes, each counted once however often it is met. They are noted in a file, one
 * JSON object a line, so that a run that is gone on with counts on.
 */
export class SkippedSamples {
  private readonly byKey = new Map<string, SkippedSample>();

  private constructor(
    /** Samples that may be left out; one more ends the run. */
    readonly limit: number,
    private readonly file: string,
  ) {}

  /** Reads what is noted in `file` already; nothing where it does not exist. */
  static async open(file: string, limit: number): Promise<SkippedSamples> {
    const skipped = new SkippedSamples(limit, file);
    let text = '';
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, file, 'read');
    }
    // What follows the last line break was being written when the process ended; it is met again.
    for (const line of text.split('\n').slice(0, -1)) {
      const sample = parseLine(line);
      if (sample !== null) skipped.byKey.set(keyOf(sample), sample);
    }
    return skipped;
  }

  /**
   * Counts a sample.
   * @throws UserError where it is one more than may be left out.
   */
  async add(sample: SkippedSample): Promise<void> {
    if (this.byKey.has(keyOf(sample))) return;
    if (this.byKey.size >= this.limit) throw tooMany(sample.reason, this.limit);
    this.byKey.set(keyOf(sample), sample);
    try {
      await appendFile(this.file, `${JSON.stringify(sample)}\n`);
    } catch (error) {
      throw explainFileError(error, this.file, 'write');
    }
  }

  /** Names of a split's samples that were left out, in the order in which they were met. */
  names(split: string): string[] {
    return [...this.byKey.values()].filter((sample) => sample.split === split).map(({ name }) => name);
  }
}

const keyOf = ({ split, name }: SkippedSample) => `${split} ${name}`;

/** Null for a line that was cut off: a process that died while it wrote. */
function parseLine(line: string): SkippedSample | null {
  try {
    const { split, name, reason } = JSON.parse(line) as Partial<SkippedSample>;
    return typeof split === 'string' && typeof name === 'string' && typeof reason === 'string'
      ? { split, name, reason }
      : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** One bad sample more than `limit`. */
export function tooMany(reason: string, limit: number): UserError {
  return new UserError(
    `${reason.replace(/\.$/, '')}: one more than the ${limit} bad samples that --skip-bad ${limit} leaves out.`,
    'Mend the data set (fcn datasets verify names every bad file), or leave out more with --skip-bad.',
  );
}

/**
 * Why a sample cannot be used; null for an error that is not about its files. A disk that refuses to read is as much a bad
 * sample as a file that cannot be decoded.
 */
export function badSampleReason(error: unknown): string | null {
  if (error instanceof UserError) return error.message;
  const { syscall, path, code } = error as NodeJS.ErrnoException;
  return syscall === undefined ? null : `${path ?? 'A file'}: cannot be read (${code}).`;
}

/** The error of a bad sample where none may be left out. */
export function stopsAt(error: unknown): unknown {
  const reason = badSampleReason(error);
  if (reason === null) return error;
  const next = error instanceof UserError && error.next !== undefined ? error.next : 'Mend or restore the file.';
  return new UserError(reason, `${next} Or leave up to N such samples out with --skip-bad N.`, { cause: error });
}
