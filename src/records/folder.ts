import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { canonicalJson } from '../recipe/resolve.js';
import { loadTables, type Table } from '../recipe/tables.js';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { formatNumber } from '../support/format.js';
import { entryLines, wrap } from '../terminal/layout.js';
import { whyNotComparable } from './comparability.js';
import { hardwareName } from './environment.js';
import { recordProblems } from './problems.js';
import { type RunRecord, readRecord, writeRecord } from './record.js';
import { FIGURE_COLUMNS, FIGURES, formatSmallFigure } from './verdict.js';

/**
 * Kinds of kept records, each in a folder of that name under the results. `full`: comparable with published figures; `smoke`:
 * of the smoke profile; `local`: of a changed recipe, an unpublished row, or synthetic data.
 */
const KEPT_KINDS = ['full', 'smoke', 'local'] as const;
type KeptKind = (typeof KEPT_KINDS)[number];

/** Names in a folder, sorted; none if it does not exist or is a file. @throws UserError if it cannot be read. */
function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // No runs yet, or a file among the folders.
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw explainFileError(error, folder, 'read');
  }
}

/** A record and where it was found. */
export interface FoundRecord {
  readonly file: string;
  readonly record: RunRecord;
}

/** The JSON files of a folder, sorted; none if it does not exist. */
function jsonFiles(folder: string): string[] {
  return entries(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => path.join(folder, name));
}

/** Called with the error of each broken file, which is then skipped. */
export type OnBroken = (error: UserError) => void;

/** The kept records, oldest first. @throws UserError that names a file that is not a record, unless `onBroken` is given. */
export function findKeptRecords(results: string, onBroken?: OnBroken): FoundRecord[] {
  return readRecords(
    KEPT_KINDS.flatMap((kind) => jsonFiles(path.join(results, kind))),
    onBroken,
  );
}

/** Whether a file is a kept record, by its folder. */
export function isKept(file: string): boolean {
  return KEPT_KINDS.some((kind) => kind === path.basename(path.dirname(file)));
}

/** All records under the results, oldest first: those that runs wrote there, and the kept ones. */
export function findResultRecords(results: string, onBroken: OnBroken): FoundRecord[] {
  return readRecords(resultFiles(results), onBroken);
}

/** Kept records come last, so that they win over other files of the same run. */
function resultFiles(results: string): string[] {
  return ['records', ...KEPT_KINDS].flatMap((folder) => jsonFiles(path.join(results, folder)));
}

/**
 * The records of all runs, under the results and in run directories, each run once, oldest first.
 * @throws UserError that names a file that is not a record, unless `onBroken` is given.
 */
export function findRecords(results: string, runs: string, onBroken?: OnBroken): FoundRecord[] {
  const files = entries(runs).flatMap((row) =>
    entries(path.join(runs, row))
      .map((run) => path.join(runs, row, run))
      .filter((folder) => entries(folder).includes('record.json'))
      .map((folder) => path.join(folder, 'record.json')),
  );
  return readRecords([...files, ...resultFiles(results)], onBroken);
}

/** Oldest first; of several files of one run, the last. */
function readRecords(files: readonly string[], onBroken?: OnBroken): FoundRecord[] {
  const byRun = new Map<string, FoundRecord>();
  for (const file of files) {
    try {
      const record = readRecord(file);
      byRun.set(`${record.row} ${record.run}`, { file, record });
    } catch (error) {
      if (onBroken === undefined || !(error instanceof UserError)) throw error;
      onBroken(error);
    }
  }
  return [...byRun.values()].sort((a, b) => a.record.startedAt.localeCompare(b.record.startedAt));
}

/** Which folder of the results a record belongs in. */
export function kindOf(record: RunRecord, tables: readonly Table[]): KeptKind {
  if (record.profile === 'smoke') return 'smoke';
  return whyNotComparable(record, tables) === null ? 'full' : 'local';
}

/** File name of a kept record. */
function keptName({ row, run }: Pick<RunRecord, 'row' | 'run'>): string {
  return `${row}.${run}.json`;
}

/** The record files of a path: a record, a run directory, or a folder of records. */
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
 * Copies records into the folders of their kinds under the results. All are checked before the first is written.
 * @returns The kept records; `added` is false if the same record was kept already.
 * @throws UserError if one has problems, or a different record of the same run is kept already.
 */
export async function keepRecords(given: readonly string[], results: string) {
  const tables = loadTables();
  const planned = given.flatMap(recordFiles).map((source) => {
    const record = readRecord(source);
    const [problem] = recordProblems(record, tables);
    if (problem !== undefined) {
      throw new UserError(`${source}: ${problem}.`, 'Only unchanged records of completed runs can be kept.');
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

type ListedRecord = ReturnType<typeof listResults>[number];

/** The kept records, by kind, then oldest first. */
export function listResults(results: string, onBroken: OnBroken) {
  const found = findKeptRecords(results, onBroken).map(({ file, record }) => {
    const { row, run, seed, figures, environment, code } = record;
    const kind = path.basename(path.dirname(file)) as KeptKind;
    return { kind, file, row, run, seed, figures, hardware: hardwareName(environment), commit: code.commit };
  });
  return KEPT_KINDS.flatMap((kind) => found.filter((record) => record.kind === kind));
}

/** Kept records grouped by kind and hardware, in lines of at most `width` characters. */
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

interface ResultsCheck {
  readonly records: number;
  /** "FILE: what is wrong". */
  readonly problems: readonly string[];
}

/** Without this check, a mistyped folder would pass as one without problems. */
function requireFolder(folder: string): void {
  try {
    if (statSync(folder).isDirectory()) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, folder, 'read');
    throw new UserError(
      `${folder} does not exist: there are no kept records to check.`,
      'Give the folder of the results with --results DIR; fcn results add makes one.',
      { cause: error },
    );
  }
  throw new UserError(`${folder} is a file; expected a folder.`, 'Give the folder of the results with --results DIR.');
}

/**
 * Checks that every kept record is valid, is in the folder of its kind under its own name, and exists only once.
 * @throws UserError if the folder of the results does not exist.
 */
export function checkResults(results: string): ResultsCheck {
  requireFolder(results);
  const tables = loadTables();
  const problems: string[] = [];
  const runs = new Map<string, string>();
  const files = KEPT_KINDS.flatMap((kind) => jsonFiles(path.join(results, kind)).map((file) => ({ kind, file })));
  for (const { kind, file } of files) {
    const add = (problem: string) => problems.push(`${file}: ${problem}`);
    try {
      const record = readRecord(file);
      for (const problem of recordProblems(record, tables)) add(problem);
      if (path.basename(file) !== keptName(record)) add(`expected the name ${keptName(record)}`);
      const belongs = kindOf(record, tables);
      if (belongs !== kind) add(`belongs in ${path.join(results, belongs)}`);
      const run = `${record.row} ${record.run}`;
      const other = runs.get(run);
      if (other !== undefined) add(`the same run as ${other}`);
      runs.set(run, file);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(error.message);
    }
  }
  return { records: files.length, problems };
}
