import { open, readFile } from 'node:fs/promises';
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

/** Which bad samples of a split are put up with. Plain data, for worker threads. */
export interface Tolerance {
  /** Samples that a run may leave out, the known ones with them. */
  readonly limit: number;
  /** Names of those that the run has left out already. */
  readonly known: readonly string[];
}

export const NO_TOLERANCE: Tolerance = { limit: 0, known: [] };

/** Whether a bad sample may be left out, as far as it alone tells: their number is for who counts them. */
export function tolerates({ limit, known }: Tolerance, name: string): boolean {
  return limit > 0 || known.includes(name);
}

/**
 * The samples that a run leaves out as it goes, each counted once however often it is met. They are noted in a file, one
 * JSON object a line, so that a run that is gone on with counts on. Those that are noted may be left out again whatever the
 * limit is then: 0 means no further ones.
 */
export class SkippedSamples {
  private readonly byKey = new Map<string, SkippedSample>();
  /** Whether the file ends within a line, which the next one must not be joined to. */
  private torn = false;

  private constructor(
    /** Samples that may be left out; one more ends the run. */
    readonly limit: number,
    private readonly file: string,
    private readonly beforeWrite: () => Promise<void>,
  ) {}

  /** Reads what is noted in `file` already; nothing where it does not exist. `beforeWrite` may refuse that more is noted. */
  static async open(
    file: string,
    limit: number,
    beforeWrite: () => Promise<void> = async () => {},
  ): Promise<SkippedSamples> {
    const skipped = new SkippedSamples(limit, file, beforeWrite);
    let text = '';
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, file, 'read');
    }
    // What follows the last line break was being written when the process ended; it is met again.
    skipped.torn = text !== '' && !text.endsWith('\n');
    for (const line of text.split('\n').slice(0, -1)) {
      const sample = parseLine(line);
      if (sample !== null) skipped.byKey.set(keyOf(sample), sample);
    }
    return skipped;
  }

  /**
   * Counts a sample. It is on the disk, not only on its way there, when this returns: no position that is past the sample
   * outlives a power failure without it.
   * @throws UserError where it is one more than may be left out; what `beforeWrite` throws.
   */
  async add(sample: SkippedSample): Promise<void> {
    if (this.byKey.has(keyOf(sample))) return;
    if (this.byKey.size >= this.limit) throw tooMany(sample.reason, this.limit);
    await this.beforeWrite();
    try {
      const handle = await open(this.file, 'a');
      try {
        await handle.writeFile(`${this.torn ? '\n' : ''}${JSON.stringify(sample)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw explainFileError(error, this.file, 'write');
    }
    this.torn = false;
    this.byKey.set(keyOf(sample), sample);
  }

  /** What may be left out of a split now. */
  toleranceOf(split: string): Tolerance {
    return { limit: this.limit, known: this.names(split) };
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
