import { readdirSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { type RunRecord, readRecord } from './record.js';

/**
 * Kinds of kept records, and the folders under the results that hold them. `full`: figures that may stand beside published
 * ones; `smoke`: of the smoke profile; `local`: of a changed recipe, a row that nobody published, or synthetic data.
 */
export const KEPT_KINDS = ['full', 'smoke', 'local'] as const;
export type KeptKind = (typeof KEPT_KINDS)[number];

/** Names in a folder, sorted; none where it is not there or is a file. @throws UserError where it cannot be read. */
function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // No runs yet; or a file that lies among the folders.
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw explainFileError(error, folder, 'read');
  }
}

/** A record and where it was found. */
export interface FoundRecord {
  readonly file: string;
  readonly record: RunRecord;
}

/** The JSON files of a folder, sorted; none where it is not there. */
export function jsonFiles(folder: string): string[] {
  return entries(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => path.join(folder, name));
}

/**
 * The records that are kept under the results, in the folders of their kinds, oldest first.
 * @throws UserError that names a file which is not a record.
 */
export function findKeptRecords(results: string): FoundRecord[] {
  return sorted(KEPT_KINDS.flatMap((kind) => jsonFiles(path.join(results, kind))));
}

/** Told of a file that is not what it should be. */
export type OnBroken = (error: UserError) => void;

/** The records of runs that are under the results, oldest first: those that are kept, and those that runs left there. */
export function findKeptAndLeft(results: string, onBroken?: OnBroken): FoundRecord[] {
  return sorted(filesUnder(results), onBroken);
}

/** The later ones count, where several are of one run. */
function filesUnder(results: string): string[] {
  return ['records', ...KEPT_KINDS].flatMap((folder) => jsonFiles(path.join(results, folder)));
}

/**
 * The records of all runs, oldest first: those kept under the results, those that runs left there, and those in run
 * directories, each run once.
 * @param onBroken Told of each file that is no record, which is then passed over; where not given, one ends the search.
 * @throws UserError that names a file which is not a record.
 */
export function findRecords(results: string, runs: string, onBroken?: OnBroken): FoundRecord[] {
  const files = entries(runs).flatMap((row) =>
    entries(path.join(runs, row))
      .map((run) => path.join(runs, row, run))
      .filter((folder) => entries(folder).includes('record.json'))
      .map((folder) => path.join(folder, 'record.json')),
  );
  return sorted([...files, ...filesUnder(results)], onBroken);
}

/** Does what may find a broken file; null where it does and somebody is told. */
function orBroken<T>(read: () => T, onBroken?: OnBroken): T | null {
  try {
    return read();
  } catch (error) {
    if (onBroken === undefined || !(error instanceof UserError)) throw error;
    onBroken(error);
    return null;
  }
}

/** Of several files of one run, the last. */
function sorted(files: readonly string[], onBroken?: OnBroken): FoundRecord[] {
  const byRun = new Map<string, FoundRecord>();
  for (const file of files) {
    const record = orBroken(() => readRecord(file), onBroken);
    if (record !== null) byRun.set(`${record.row} ${record.run}`, { file, record });
  }
  return [...byRun.values()].sort((a, b) => a.record.startedAt.localeCompare(b.record.startedAt));
}
