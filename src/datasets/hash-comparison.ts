import path from 'node:path';
import type { FileProblem } from '../data/problem.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File } from '../support/files.js';

/** A file of a prepared data set, and the SHA-256 of its content then. */
export interface RecordedHash {
  /** Path in the data set's folder, with forward slashes. */
  readonly target: string;
  readonly sha256: string;
}

/** Why a file differs from what was recorded; null if it does not. */
async function compare(file: string, sha256: string): Promise<string | null> {
  try {
    if ((await sha256File(file)) === sha256) return null;
    return `${file} was changed after its preparation: its SHA-256 is not the one recorded then.`;
  } catch (error) {
    const explained = explainFileError(error, file, 'read');
    if (explained instanceof UserError) return explained.message;
    // A file that the disk cannot read is reported like a changed one.
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return `${file}: cannot be read (${code}).`;
  }
}

/** Compares a file of a folder with what was recorded. @returns null if it is unchanged. */
export async function compareHash(folder: string, { target, sha256 }: RecordedHash): Promise<FileProblem | null> {
  const file = path.join(folder, target);
  const message = await compare(file, sha256);
  return message === null ? null : { file, kind: 'changed file', message };
}
