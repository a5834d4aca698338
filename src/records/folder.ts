import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { canonicalJson } from '../recipe/resolve.js';
import { loadTables, type Table } from '../recipe/tables.js';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { formatNumber } from '../support/format.js';
import { entryLines, wrap } from '../terminal/layout.js';
import { reasonApart } from './comparability.js';
import { hardwareName } from './environment.js';
import { FIGURE_COLUMNS, FIGURES, formatSmallFigure } from './figures.js';
import { recordProblems } from './problems.js';
import { type RunRecord, readRecord, writeRecord } from './record.js';

/**
 * Kinds of kept records, and the folders under the results that hold them. `full`: figures that may stand beside published
 * ones; `smoke`: of the smoke profile; `local`: of a changed recipe, a row that nobody published, or synthetic data.
 */
export const KEPT_KINDS = ['full', 'smoke', 'local'] as const;
type KeptKind = (typeof KEPT_KINDS)[number];

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

/** The kind of record that a run's is. */
export function kindOf(record: RunRecord, tables: readonly Table[]): KeptKind {
  if (record.profile === 'smoke') return 'smoke';
  return reasonApart(record, tables) === null ? 'full' : 'local';
}

/** Name of a kept record's file in the folder of its kind. */
export function keptName({ row, run }: Pick<RunRecord, 'row' | 'run'>): string {
  return `${row}.${run}.json`;
}

/** What became of a record that was to be kept. */
interface Kept {
  readonly kind: KeptKind;
  readonly file: string;
  readonly row: string;
  readonly seed: number;
  /** False where the same record was kept already. */
  readonly added: boolean;
}

/** The records that a path means: a record's file, a run directory, or a folder of records. */
function recordFiles(given: string): string[] {
  try {
    if (!statSync(given).isDirectory()) return [given];
    const own = path.join(given, 'record.json');
    if (existsSync(own)) return [own];
    const inside = readdirSync(given).sort();
    const files = inside.filter((name) => name.endsWith('.json')).map((name) => path.join(given, name));
    if (files.length > 0) return files;
  } catch (error) {
    throw explainFileError(error, given, 'read');
  }
  throw new UserError(`${given} holds no record.`, 'Give a record, a run directory, or a folder of records.');
}

/**
 * Keeps records under the results, each in the folder of its kind. All of them are checked before the first is written.
 * @throws UserError where one is not whole, or another record of the same run is kept already.
 */
export async function keepRecords(given: readonly string[], results: string): Promise<Kept[]> {
  const tables = loadTables();
  const planned = given.flatMap(recordFiles).map((source) => {
    const record = readRecord(source);
    const [problem] = recordProblems(record, tables);
    if (problem !== undefined) {
      throw new UserError(`${source}: ${problem}.`, 'Only the record of a completed run, as it was written, is kept.');
    }
    const kind = kindOf(record, tables);
    const file = path.join(results, kind, keptName(record));
    const there = KEPT_KINDS.map((other) => path.join(results, other, keptName(record))).find(existsSync);
    if (there !== undefined && canonicalJson(readRecord(there)) !== canonicalJson(record)) {
      throw new UserError(`${there} is another record of the same run.`, `Compare it with ${source}, and remove one.`);
    }
    return { source, record, kind, file: there ?? file, added: there === undefined };
  });
  for (const { file, record, added } of planned) if (added) await writeRecord(file, record);
  return planned.map(({ kind, file, record: { row, seed }, added }) => ({ kind, file, row, seed, added }));
}

/** A kept record in short. */
interface ListedRecord {
  readonly kind: KeptKind;
  readonly file: string;
  readonly row: string;
  readonly run: string;
  readonly seed: number;
  readonly figures: RunRecord['figures'];
  readonly hardware: string;
  readonly commit: string | null;
}

/** The records that are kept under the results, by kind, oldest first. */
export function listResults(results: string): ListedRecord[] {
  const found = findKeptRecords(results).map(({ file, record }): ListedRecord => {
    const { row, run, seed, figures, environment, code } = record;
    const kind = path.basename(path.dirname(file)) as KeptKind;
    return { kind, file, row, run, seed, figures, hardware: hardwareName(environment), commit: code.commit };
  });
  return KEPT_KINDS.flatMap((kind) => found.filter((record) => record.kind === kind));
}

/**
 * The records of each kind, and of each hardware, under what they are of.
 * @param width Most characters of a line.
 */
export function formatResults(records: readonly ListedRecord[], width: number): string {
  const titleOf = ({ kind, hardware }: ListedRecord) => `${kind}, measured on ${hardware}`;
  const parts = [...new Set(records.map(titleOf))].map((title) => {
    const entries = records
      .filter((record) => titleOf(record) === title)
      .map(({ row, run, seed, figures }) => ({
        name: row,
        lines: [[run, String(seed), ...FIGURES.map((figure) => formatSmallFigure(figures[figure]))]],
      }));
    const { lines } = entryLines(['Row', 'Run', 'Seed', ...FIGURE_COLUMNS], entries, { words: 1, width });
    return [...wrap(title, width), ...lines].join('\n');
  });
  const count = KEPT_KINDS.map((kind) => `${records.filter((record) => record.kind === kind).length} ${kind}`);
  return [...parts, `${formatNumber(records.length, 'record')}: ${count.join(', ')}.`].join('\n\n');
}
