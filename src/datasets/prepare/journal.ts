import { type FileHandle, open, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type PreparationKey, readPrepared, readPreparing } from '../../data/markers.js';
import { explainFileError } from '../../support/files.js';

/** What identifies a preparation: of its inputs, names and contents. */
const keyOf = ({ dataset, version, inputs }: PreparationKey) =>
  JSON.stringify([dataset, version, inputs.map(({ name, bytes, sha256 }) => [name, bytes, sha256])]);
/** Whether two preparations make the same files from the same downloads. */
export const sameKey = (a: PreparationKey, b: PreparationKey) => keyOf(a) === keyOf(b);

/** Whether a folder was prepared from these downloads, or a preparation of them was begun there. */
export async function isKnownPreparation(folder: string, key: PreparationKey): Promise<boolean> {
  const known = [await readPrepared(folder), await readPreparing(folder)];
  return known.some((one) => one !== null && sameKey(one, key));
}

/** File in a data set's folder that gets a line for each finished file. */
const JOURNAL = '.fcn-preparing.jsonl';

/** A finished file of a data set. */
export interface Finished {
  /** Path in the data set's folder, with forward slashes. */
  readonly target: string;
  readonly bytes: number;
  readonly sha256: string;
  /** It was there before as part of the download, so that it is never removed. */
  readonly kept: boolean;
}

function parse(line: string): Finished | null {
  try {
    return JSON.parse(line) as Finished;
  } catch {
    // The last line of a process that was killed while it wrote it: that file is done again.
    return null;
  }
}

/** The finished files of a preparation, so that an interrupted one can be resumed. */
export class Journal {
  private constructor(
    private readonly file: string,
    private readonly handle: FileHandle,
    private readonly entries: Map<string, Finished>,
  ) {}

  /** Opens the journal of a folder, or begins one. An entry counts only if its file still has the recorded size. */
  static async open(folder: string): Promise<Journal> {
    const file = path.join(folder, JOURNAL);
    const entries = new Map<string, Finished>();
    try {
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return '';
        throw error;
      });
      for (const line of text.split('\n')) {
        const entry = line === '' ? null : parse(line);
        if (!entry) continue;
        const found = await stat(path.join(folder, entry.target)).catch(() => null);
        if (found?.size === entry.bytes) entries.set(entry.target, entry);
        else entries.delete(entry.target);
      }
      const handle = await open(file, 'a');
      // Ends a line that a killed process left open.
      if (text !== '' && !text.endsWith('\n')) await handle.appendFile('\n');
      return new Journal(file, handle, entries);
    } catch (error) {
      throw explainFileError(error, file, 'write');
    }
  }

  has(target: string): boolean {
    return this.entries.has(target);
  }

  /** All finished files, sorted by path. */
  finished(): Finished[] {
    return [...this.entries.values()].sort((a, b) => (a.target < b.target ? -1 : 1));
  }

  async add(entry: Finished): Promise<void> {
    try {
      await this.handle.appendFile(`${JSON.stringify(entry)}\n`);
    } catch (error) {
      throw explainFileError(error, this.file, 'write');
    }
    this.entries.set(entry.target, entry);
  }

  /** Marks a file as not finished. */
  async drop(target: string): Promise<void> {
    const entry = this.entries.get(target);
    if (!entry) return;
    // No file has this size, so that the file no longer counts as finished.
    await this.add({ ...entry, bytes: -1 });
    this.entries.delete(target);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  /** Removes the journal of a folder. */
  static async remove(folder: string): Promise<void> {
    await rm(path.join(folder, JOURNAL), { force: true });
  }
}

/**
 * Runs tasks, at most `ahead` at a time. After a failure, of a task or of the iterator, no more are begun, and the running ones
 * are waited for, so that no file is left half-written.
 * @throws The error of the first task that failed, or of the iterator.
 */
export async function runConcurrently<Task>(
  tasks: AsyncIterable<Task> | Iterable<Task>,
  ahead: number,
  work: (task: Task) => Promise<void>,
): Promise<void> {
  const pending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | null = null;
  const begin = (task: Task): void => {
    const one: Promise<void> = work(task)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => pending.delete(one));
    pending.add(one);
  };
  try {
    for await (const task of tasks) {
      if (failure) break;
      begin(task);
      if (pending.size >= ahead) await Promise.race(pending);
    }
  } finally {
    await Promise.all(pending);
  }
  if (failure) throw (failure as { readonly error: unknown }).error;
}
