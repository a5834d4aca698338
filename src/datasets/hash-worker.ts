import path from 'node:path';
import { workerData } from 'node:worker_threads';
import type { FileProblem } from '../data/problem.js';
import { serve } from '../data/workers/pool.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File } from '../support/files.js';
import type { HashWorkerData, RecordedHash } from './hashes.js';

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

serve<RecordedHash, FileProblem | null>(async ({ target, sha256 }) => {
  const file = path.join((workerData as HashWorkerData).folder, target);
  const message = await compare(file, sha256);
  return { result: message === null ? null : { file, kind: 'changed file', message }, transfer: [] };
});
