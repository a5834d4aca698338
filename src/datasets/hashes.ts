import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { PREPARED_HASHES, readPrepared } from '../data/markers.js';
import type { FileProblem } from '../data/problem.js';
import { doInWorkers, workersFor } from '../data/workers/pool.js';
import { explainFileError } from '../support/files.js';
import { compareHash, type RecordedHash } from './hash-comparison.js';
import type { HashWorkerData } from './hash-worker.js';

/** The text of a list of hashes, in the format of `sha256sum --check`. */
export function formatHashes(hashes: readonly RecordedHash[]): string {
  return hashes.map(({ target, sha256 }) => `${sha256}  ${target}\n`).join('');
}

const LINE = /^([0-9a-f]{64}) {2}(.+)$/;

async function readText(folder: string): Promise<string | null> {
  const file = path.join(folder, PREPARED_HASHES);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explainFileError(error, file, 'read');
  }
}

function parse(text: string): RecordedHash[] {
  return text.split('\n').flatMap((line) => {
    const [, sha256, target] = LINE.exec(line) ?? [];
    return sha256 === undefined || target === undefined ? [] : [{ target, sha256 }];
  });
}

/** The hashes of all files of a finished preparation; none if there is no list of them. */
export async function readHashes(folder: string): Promise<RecordedHash[]> {
  return parse((await readText(folder)) ?? '');
}

/** The recorded hashes, if they can be trusted, and what is wrong with the list of them. */
export interface TrustedHashes {
  readonly hashes: readonly RecordedHash[];
  readonly problems: readonly FileProblem[];
}

/**
 * As `readHashes`, but only if the list is the one that the preparation wrote.
 * @throws UserError if the preparation's own marker is damaged.
 */
export async function readTrustedHashes(folder: string): Promise<TrustedHashes> {
  const prepared = await readPrepared(folder);
  if (prepared === null) return { hashes: [], problems: [] };
  const text = await readText(folder);
  if (text !== null && createHash('sha256').update(text).digest('hex') === prepared.sha256) {
    return { hashes: parse(text), problems: [] };
  }
  const file = path.join(folder, PREPARED_HASHES);
  const fault = text === null ? 'does not exist' : 'was changed after the preparation';
  const message = `${file}, the hashes of all files, ${fault}.`;
  return { hashes: [], problems: [{ file, kind: 'changed file', message }] };
}

interface CompareOptions {
  /** Most worker threads. */
  readonly workers: number;
  readonly signal?: AbortSignal | undefined;
  readonly onFile: () => void;
}

/**
 * Compares the SHA-256 of files with the recorded ones.
 * @returns Files that differ, are missing or cannot be read, in the order of the hashes.
 * @throws the signal's reason when aborted.
 */
export async function compareHashes(
  folder: string,
  hashes: readonly RecordedHash[],
  { workers, signal, onFile }: CompareOptions,
): Promise<FileProblem[]> {
  if (hashes.length === 0) return [];
  const data: HashWorkerData = { folder };
  const found = new Map<RecordedHash, FileProblem>();
  await doInWorkers<RecordedHash, FileProblem | null>(new URL('./hash-worker.js', import.meta.url), {
    workers: workersFor(hashes.length, workers),
    here: (hash) => compareHash(folder, hash),
    workerData: data,
    tasks: hashes,
    count: hashes.length,
    signal,
    onResult: (problem, hash) => {
      if (problem) found.set(hash, problem);
      onFile();
    },
  });
  return hashes.flatMap((hash) => found.get(hash) ?? []);
}
