import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { foldersIn } from '../../support/files.js';
import { packageRoot } from '../../support/package.js';
import type { Flag } from './command-line.js';

/** What may stand at the cursor. */
export interface Completion {
  readonly value: string;
  readonly description: string;
}

/** A row as completion knows it; `table`: name of its file without the extension. */
export interface KnownRow {
  readonly id: string;
  readonly table: string;
  readonly tableName: string;
}

/** What the values of a command line depend on. */
export interface ValueSources {
  /** The package's rows when it was built. */
  readonly rows: readonly KnownRow[];
  /** When that was, in milliseconds since 1970. */
  readonly builtAt: number;
  /** The values of a flag: as typed, or else its default. */
  readonly flag: (name: string) => readonly string[];
}

const experiments = () => path.join(packageRoot(), 'experiments');

const YAML_FILE = /\.ya?ml$/;

/** The files with this ending in a folder, without it; none if there is no such folder. */
function namesIn(folder: string, ending: RegExp): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => ending.test(name));
  return names.map((name) => name.replace(ending, '')).sort();
}

/** Ids of the rows in a table's file, also of one with mistakes elsewhere; none if it is no YAML, or missing. */
async function rowsInFile(file: string): Promise<KnownRow[]> {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return [];
  const { parseDocument } = await import('yaml');
  const document = parseDocument(readFileSync(file, 'utf8'));
  if (document.errors.length > 0) return [];
  const content = document.toJS() as { readonly table?: unknown; readonly rows?: unknown } | null;
  const table = path.basename(file).replace(YAML_FILE, '');
  const rows: readonly unknown[] = Array.isArray(content?.rows) ? content.rows : [];
  return rows.flatMap((row) => {
    const id = (row as { readonly id?: unknown } | null)?.id;
    return typeof id === 'string' ? [{ id, table, tableName: String(content?.table ?? table) }] : [];
  });
}

/** The package's rows: as they were when it was built or, if a file has changed since, which takes longer, as they are now. */
async function packageRows({ rows, builtAt }: ValueSources): Promise<readonly KnownRow[]> {
  const files = namesIn(experiments(), YAML_FILE).map((name) => path.join(experiments(), `${name}.yaml`));
  if (files.every((file) => statSync(file).mtimeMs <= builtAt)) return rows;
  return (await Promise.all(files.map(rowsInFile))).flat();
}

async function rows(sources: ValueSources): Promise<readonly KnownRow[]> {
  const files = sources.flag('file');
  const known = files.length > 0 ? (await Promise.all(files.map(rowsInFile))).flat() : await packageRows(sources);
  const [table] = sources.flag('table').map((name) => name.toLowerCase());
  if (table === undefined) return known;
  return known.filter((row) => [row.table, row.tableName].some((name) => name.toLowerCase() === table));
}

async function rowCandidates(sources: ValueSources): Promise<Completion[]> {
  return (await rows(sources)).map(({ id, tableName }) => ({ value: id, description: tableName }));
}

async function tableCandidates(sources: ValueSources): Promise<Completion[]> {
  const tables = new Map((await packageRows(sources)).map(({ table, tableName }) => [table, tableName]));
  return [...tables].map(([value, description]) => ({ value, description }));
}

interface KnownRun {
  readonly row: string;
  readonly id: string;
  readonly hasBest: boolean;
}

/** The runs that have a directory in --runs. Reads names only. */
async function runDirectories({ flag }: ValueSources): Promise<KnownRun[]> {
  const [folder] = flag('runs');
  if (folder === undefined || !existsSync(folder)) return [];
  const found: KnownRun[] = [];
  for (const row of await foldersIn(folder)) {
    for (const id of await foldersIn(path.join(folder, row))) {
      const inside = (...names: string[]) => existsSync(path.join(folder, row, id, ...names));
      if (!inside('experiment.json') && !inside('run.json')) continue;
      found.push({ row, id, hasBest: inside('checkpoints', 'best.json') });
    }
  }
  return found;
}

/** The jobs in --runs. Reads names only. */
async function jobCandidates({ flag }: ValueSources): Promise<Completion[]> {
  const [runs] = flag('runs');
  if (runs === undefined) return [];
  const folder = path.join(runs, 'jobs');
  const ids = (await foldersIn(folder)).filter((id) => existsSync(path.join(folder, id, 'job.json')));
  return ids.map((value) => ({ value, description: 'job' }));
}

/** The folders of kept records in --results, and ROW.RUN or ROW.PROFILE.RUN, the names of records. */
const RECORD_FOLDERS = ['full', 'smoke', 'local', 'records'];
const RECORD_NAME = /^(.+?)(?:\.(?:full|smoke))?\.(\d{8}-\d{6}-[^.]+)$/;

function keptRecords({ flag }: ValueSources): KnownRun[] {
  const [folder] = flag('results');
  if (folder === undefined) return [];
  const names = RECORD_FOLDERS.flatMap((kind) => namesIn(path.join(folder, kind), /\.json$/));
  return names.flatMap((name) => {
    const [, row, id] = RECORD_NAME.exec(name) ?? [];
    return row === undefined || id === undefined ? [] : [{ row, id, hasBest: false }];
  });
}

/** Names of runs: ids, and rows for their newest run. A word with a slash is the beginning of ROW/RUN. */
function runCandidates(runs: readonly KnownRun[], word: string, marked: boolean): Completion[] {
  if (word.includes('/')) {
    return runs.flatMap((run) => markedCandidates({ ...run, id: `${run.row}/${run.id}` }, run.row, marked));
  }
  const rows = [...new Set(runs.map(({ row }) => row))].map((row) => {
    const hasBest = runs.some((run) => run.row === row && run.hasBest);
    return { row, id: row, hasBest };
  });
  return [
    ...runs.flatMap((run) => markedCandidates(run, run.row, marked)),
    ...rows.flatMap((row) => markedCandidates(row, 'newest run', marked)),
  ];
}

function markedCandidates({ id, hasBest }: KnownRun, description: string, marked: boolean): Completion[] {
  const best = { value: `${id}:best`, description: `${description}, best checkpoint` };
  return [{ value: id, description }, ...(marked && hasBest ? [best] : [])];
}

type Values = (sources: ValueSources, word: string) => Promise<readonly Completion[]> | readonly Completion[];

/** How each kind of value, as flags and arguments declare it, is completed. */
const VALUES: Readonly<Record<string, Values>> = {
  ROW: rowCandidates,
  TABLE: tableCandidates,
  RUN: async (sources, word) => runCandidates(await runDirectories(sources), word, false),
  'RUN:best': async (sources, word) => runCandidates(await runDirectories(sources), word, true),
  JOB: jobCandidates,
  RECORD: (sources, word) => runCandidates(keptRecords(sources), word, false),
  DATASET: () =>
    namesIn(path.join(packageRoot(), 'datasets'), YAML_FILE).map((value) => ({ value, description: 'data set' })),
};

/** Kinds of files that the shell itself completes. */
const FILES: Readonly<Record<string, string>> = {
  FILE: 'files',
  PATH: 'files',
  'FILE.yaml': 'files .yaml',
  'FILE.json': 'files .json',
  DIR: 'folders',
  FOLDER: 'folders',
};

/** What may stand in place of a value. `files`: which files may, too: '', files, folders, or files with an ending. */
export interface CompletedValue {
  readonly files: string;
  readonly candidates: readonly Completion[];
}

/** @param kinds As a flag's help has them: `FILE|published|RUN`; in small letters a value itself. @param word What is typed of it. */
export async function completeValue(kinds: string, word: string, sources: ValueSources): Promise<CompletedValue> {
  const names = kinds.split('|');
  const files = names.map((name) => FILES[name]).find((one) => one !== undefined) ?? '';
  const found = await Promise.all(
    names.map((name) => {
      const literal = names.length > 1 && /^[a-z]+$/.test(name);
      return literal ? [{ value: name, description: '' }] : (VALUES[name]?.(sources, word) ?? []);
    }),
  );
  const byValue = new Map(found.flat().map((one) => [one.value, one]));
  return { files, candidates: [...byValue.values()] };
}

/** The values of a flag: as typed, else as its environment variable or its default says. */
export function flagValues(flag: Flag | undefined, typed: readonly string[] | undefined): readonly string[] {
  if (typed !== undefined) return typed;
  const fromEnvironment = flag?.env === undefined ? undefined : process.env[flag.env];
  if (fromEnvironment) return [fromEnvironment];
  return typeof flag?.default === 'string' ? [flag.default] : [];
}
