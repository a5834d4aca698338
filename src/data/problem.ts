import { open } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError, readTextIfPresent } from '../support/files.js';
import { listNames } from '../support/format.js';

/** What can be wrong with a data set. Each phrase continues a number: "4 images have no label". */
const PROBLEM_KINDS = {
  folder: 'folders or lists cannot be used',
  'no image': 'sources of splits have no image with its label',
  'missing image': 'images that a list names do not exist',
  'missing label': 'images have no label',
  'spare label': 'labels belong to no image',
  'repeated name': 'names are in a list more than once',
  'repeated image': 'images are in a split more than once',
  'shared image': 'images are in two splits',
  'shared label': 'labels belong to images in two splits',
  'number of images': 'splits have a different number of images than expected',
  'image file': 'images cannot be read',
  'label file': 'label maps cannot be read',
  'label value': 'label maps hold values that are no class',
  'image size': 'images have a different size than expected',
  'label size': 'label maps have a different size than their images',
  'absent class': 'splits lack classes',
  deviation: 'differences from the published data set',
  'changed file': 'files have changed since they were prepared',
} as const;

/** What is wrong with a file. */
export interface FileProblem {
  readonly file: string;
  readonly kind: keyof typeof PROBLEM_KINDS;
  /** A whole sentence that names the file. */
  readonly message: string;
  /** How it differs from others of its kind, in a few words. */
  readonly detail?: string;
}

/** What is wrong with a data set. */
export interface Problem extends FileProblem {
  /** Null if it belongs to no split. */
  readonly split: string | null;
}

/** This many problems of one kind are listed one by one; of more, this many are examples. */
const EXAMPLES = 3;

/**
 * A sentence for each problem; if there are many of a kind, one for all of them, with their number and three examples.
 * @param folder The data set's folder; examples are named relative to it.
 */
export function summariseProblems(problems: readonly FileProblem[], folder: string): string[] {
  const byKind = new Map<FileProblem['kind'], FileProblem[]>();
  for (const problem of problems) {
    const same = byKind.get(problem.kind) ?? [];
    byKind.set(problem.kind, same);
    same.push(problem);
  }
  return [...byKind].flatMap(([kind, same]) => {
    if (same.length <= EXAMPLES) return same.map(({ message }) => message);
    const examples = same.slice(0, EXAMPLES).map(({ file, detail }) => {
      const name = path.relative(path.resolve(folder), path.resolve(file));
      return detail === undefined ? name : `${name} (${detail})`;
    });
    return [`${same.length} ${PROBLEM_KINDS[kind]}, such as ${listNames(examples)}.`];
  });
}

/** A sample that could not be read and was skipped. */
export interface SkippedSample {
  readonly split: string;
  /** The sample's name in its split. */
  readonly name: string;
  /** Why; names the file. */
  readonly reason: string;
}

/** Which bad samples of a split may be skipped. Plain data, for worker threads. */
export interface SkipTolerance {
  /** Most samples that a run may skip, including the known ones. */
  readonly limit: number;
  /** Names of those that the run has already skipped. */
  readonly known: readonly string[];
}

export const NO_TOLERANCE: SkipTolerance = { limit: 0, known: [] };

/** Whether a bad sample may be skipped, judged by itself. `SkippedSamples` counts them. */
export function tolerates({ limit, known }: SkipTolerance, name: string): boolean {
  return limit > 0 || known.includes(name);
}

/**
 * The samples that a run skips, each counted once. They are noted in a file, one JSON object a line, so that a resumed run keeps
 * counting. Noted samples may be skipped again whatever the limit is then; 0 means no further ones.
 */
export class SkippedSamples {
  private readonly byKey = new Map<string, SkippedSample>();
  /** Whether the file ends within a line. */
  private isTorn = false;

  private constructor(
    /** Most samples that may be skipped; one more ends the run. */
    readonly limit: number,
    private readonly file: string,
    private readonly beforeWrite: () => Promise<void>,
  ) {}

  /** Reads what `file` already notes; nothing if it does not exist. `beforeWrite` may refuse further notes. */
  static async open(
    file: string,
    limit: number,
    beforeWrite: () => Promise<void> = async () => {},
  ): Promise<SkippedSamples> {
    const skipped = new SkippedSamples(limit, file, beforeWrite);
    const text = (await readTextIfPresent(file)) ?? '';
    // The process ended while it wrote the rest. The same sample will fail again.
    skipped.isTorn = text !== '' && !text.endsWith('\n');
    for (const line of text.split('\n').slice(0, -1)) {
      const sample = parseLine(line);
      if (sample !== null) skipped.byKey.set(keyOf(sample), sample);
    }
    return skipped;
  }

  /**
   * Counts a sample. When this returns, the note is on the disk: after a power failure, no saved position is past a sample that
   * the file does not note.
   * @throws UserError if it is one too many; whatever `beforeWrite` throws.
   */
  async add(sample: SkippedSample): Promise<void> {
    if (this.byKey.has(keyOf(sample))) return;
    if (this.byKey.size >= this.limit) throw tooManyBad(sample.reason, this.limit);
    await this.beforeWrite();
    try {
      const handle = await open(this.file, 'a');
      try {
        await handle.writeFile(`${this.isTorn ? '\n' : ''}${JSON.stringify(sample)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw explainFileError(error, this.file, 'write');
    }
    this.isTorn = false;
    this.byKey.set(keyOf(sample), sample);
  }

  toleranceOf(split: string): SkipTolerance {
    return { limit: this.limit, known: this.names(split) };
  }

  /** Names of a split's skipped samples, in the order in which they were found. */
  names(split: string): string[] {
    return [...this.byKey.values()].filter((sample) => sample.split === split).map(({ name }) => name);
  }
}

/** What a loader needs of `SkippedSamples`. In a run of several processes, only one counts, and the others tell it. */
export type SkipCounter = Pick<SkippedSamples, 'add' | 'toleranceOf'>;

const keyOf = ({ split, name }: SkippedSample) => `${split} ${name}`;

/** Null for a line that was cut off because the process died. */
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

/** The error of one bad sample more than `limit`. */
export function tooManyBad(reason: string, limit: number): UserError {
  return new UserError(
    `${reason.replace(/\.$/, '')}: one more than the ${limit} bad samples that --skip-bad ${limit} leaves out.`,
    'Fix the data set (fcn datasets verify names every bad file), or leave out more with --skip-bad.',
  );
}

/** Why a sample cannot be used; null for an error that is not about its files. A disk that refuses to read counts too. */
export function badSampleReason(error: unknown): string | null {
  if (error instanceof UserError) return error.message;
  const { syscall, path, code } = error as NodeJS.ErrnoException;
  return syscall === undefined ? null : `${path ?? 'A file'}: cannot be read (${code}).`;
}

/** The error of a bad sample that may not be skipped. */
export function badSampleError(error: unknown): unknown {
  const reason = badSampleReason(error);
  if (reason === null) return error;
  const next = error instanceof UserError && error.next !== undefined ? error.next : 'Fix or restore the file.';
  return new UserError(reason, `${next} Or leave up to N such samples out with --skip-bad N.`, { cause: error });
}
