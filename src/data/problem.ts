import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';

/** Kinds of what can be wrong with a data set, each as a sentence about several files goes on after their number. */
const PROBLEM_KINDS = {
  folder: 'folders or lists cannot be used',
  'no image': 'sources of splits have no image with its label',
  'missing image': 'images that a list names do not exist',
  'missing label': 'images have no label',
  'spare label': 'labels are of no image',
  'repeated name': 'names are in a list more than once',
  'repeated image': 'images are in a split more than once',
  'shared image': 'images are in two splits',
  'number of images': 'splits have another number of images than expected',
  'image file': 'images cannot be read',
  'label file': 'label maps cannot be read',
  'label value': 'label maps hold what is no class',
  'image size': 'images have another size than expected',
  'label size': 'label maps have another size than their images',
  'absent class': 'splits lack classes',
  deviation: 'ways in which it is not the published data set',
  'changed file': 'files are not as they were prepared',
} as const;

/** What is wrong with a file. */
export interface FileProblem {
  readonly file: string;
  readonly kind: keyof typeof PROBLEM_KINDS;
  /** A whole sentence that names the file. */
  readonly message: string;
  /** What tells this one from others of its kind, in a few words. */
  readonly detail?: string;
}

/** What is wrong with a data set. */
export interface Problem extends FileProblem {
  /** Null where that cannot be told. */
  readonly split: string | null;
}

/** Of one kind, so many are told one by one; beyond that, so many are examples. */
const EXAMPLES = 3;

/**
 * A sentence for each problem; where there are many of a kind, one for all of them, with their number and three examples.
 * @param folder The data set's, below which examples are named.
 */
export function summariseProblems(problems: readonly FileProblem[], folder: string): string[] {
  const byKind = new Map<FileProblem['kind'], FileProblem[]>();
  for (const problem of problems) {
    const same = byKind.get(problem.kind);
    if (same) same.push(problem);
    else byKind.set(problem.kind, [problem]);
  }
  return [...byKind].flatMap(([kind, same]) => {
    if (same.length <= EXAMPLES) return same.map(({ message }) => message);
    const examples = same.slice(0, EXAMPLES).map(({ file, detail }) => {
      const name = path.relative(path.resolve(folder), path.resolve(file));
      return detail === undefined ? name : `${name} (${detail})`;
    });
    return [
      `${same.length} ${PROBLEM_KINDS[kind]}, such as ${examples.slice(0, -1).join(', ')} and ${examples.at(-1)}.`,
    ];
  });
}

/** A sample that could not be read, and was left out. */
interface SkippedSample {
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
