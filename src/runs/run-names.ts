import { existsSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { loadTables } from '../recipe/tables.js';
import { readRecord } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { alternatives, nearestAll, wildcardExpression } from '../support/suggest.js';
import { LOG_FILE } from './log.js';
import { RECORD_FILE, RunReader, runsBelow, whyUnreadable } from './run-reader.js';

/** What of a run its names hang on. */
export interface NamedRun {
  readonly row: string;
  readonly id: string;
  /** Null if only its record was kept. */
  readonly directory: string | null;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Runs of a row are numbered as they are begun; 0 where the run does not tell. */
  readonly number: number;
}

/** Where runs are looked for; `results` is null if kept records do not count. */
export interface RunPlaces {
  readonly runs: string;
  readonly results: string | null;
}

const describePlaces = ({ runs, results }: RunPlaces) => (results === null ? runs : `${runs} and ${results}`);

/** Most runs that a message lists. */
const MOST_LISTED = 5;

/** "ROW/RUN, ROW/RUN, …" */
function listRuns(runs: readonly Pick<NamedRun, 'row' | 'id'>[]): string {
  const names = runs.slice(0, MOST_LISTED).map(({ row, id }) => `${row}/${id}`);
  return [...names, ...(runs.length > MOST_LISTED ? ['…'] : [])].join(', ');
}

/**
 * Orders the run directories of a row, the one begun last first: by their numbers, as clocks may be set back. Ids begin with
 * the time; those of one second are numbered from the second on.
 */
export function compareNewestFirst(a: Pick<NamedRun, 'id' | 'number'>, b: Pick<NamedRun, 'id' | 'number'>): number {
  const suffix = (id: string) => Number(/^\d+-\d+-[0-9a-f]+-(\d+)$/.exec(id)?.[1] ?? 1);
  const time = (id: string) => id.slice(0, 15);
  if (a.number !== b.number) return b.number - a.number;
  if (time(a.id) !== time(b.id)) return time(a.id) < time(b.id) ? 1 : -1;
  return suffix(b.id) - suffix(a.id);
}

/** Orders runs of any rows, the one begun last last. */
export function compareStarts(a: Pick<NamedRun, 'id' | 'startedAt'>, b: Pick<NamedRun, 'id' | 'startedAt'>): number {
  return a.startedAt.localeCompare(b.startedAt) || a.id.localeCompare(b.id);
}

/** The run that was begun last: of the directories of a row by their numbers, among rows and kept records by the clock. */
export function newestRun<T extends NamedRun>(runs: readonly [T, ...T[]]): T {
  const newestOfRow = new Map<string, T>();
  for (const run of runs) {
    if (run.directory === null) continue;
    const other = newestOfRow.get(run.row);
    if (other === undefined || compareNewestFirst(run, other) < 0) newestOfRow.set(run.row, run);
  }
  const candidates = [...newestOfRow.values(), ...runs.filter(({ directory }) => directory === null)];
  return candidates.sort(compareStarts).at(-1)!;
}

/** The rows and ids of a run: those that its record names, and those that its folders are called. */
function spellings({ row, id, directory }: NamedRun): { row: string; id: string }[] {
  if (directory === null) return [{ row, id }];
  const { row: rowFolder, id: folder } = new RunReader(directory);
  return [
    { row, id },
    { row: rowFolder, id: folder },
  ];
}

const hasSome = <T>(values: readonly T[]): values is readonly [T, ...T[]] => values.length > 0;

/**
 * The runs that a name means: of a row or of a pattern of rows, of RUN or of ROW/RUN all; else one, as RUN, as ROW/RUN, as
 * ROW.RUN, as kept records are called, or as the beginning of a name that no other run has.
 * @throws UserError if it means no run, or the beginning of several.
 */
export function runsCalled<T extends NamedRun>(
  name: string,
  runs: readonly T[],
  places: RunPlaces,
): readonly [T, ...T[]] {
  // Of an empty variable in a script, say: it is the beginning of every name.
  if (name === '') throw new UserError('The name of a run is empty.', 'See fcn runs list.');
  const which = (is: (spelling: { row: string; id: string }) => boolean) =>
    runs.filter((run) => spellings(run).some(is));
  const expression = /[*?{]/.test(name) ? wildcardExpression(name) : null;
  const group =
    expression === null
      ? which(({ row }) => row === name)
      : which(({ row, id }) => [row, id, `${row}/${id}`].some((text) => expression.test(text)));
  if (hasSome(group)) return group;
  const exact = which(({ row, id }) => [id, `${row}/${id}`, `${row}.${id}`].includes(name));
  const found = exact.length > 0 ? exact : which(({ row, id }) => [id, `${row}/${id}`].some((t) => t.startsWith(name)));
  if (!hasSome(found)) throw nothingCalled(name, runs, places);
  if (found.length === 1) return found;
  throw new UserError(
    `"${name}" could be ${found.length} runs: ${listRuns(found)}.`,
    'Give more of the name, or ROW/RUN.',
  );
}

/** @throws UserError if there are no runs at all. */
export function requireSome<T>(runs: readonly T[], { runs: folder, results }: RunPlaces): readonly [T, ...T[]] {
  if (hasSome(runs)) return runs;
  throw new UserError(
    `There are no runs under ${folder}${results === null ? '' : ` and no records under ${results}`}.`,
    `Make one with fcn reproduce, or say where they are with --runs${results === null ? '' : ' and --results'}.`,
  );
}

function nothingCalled(name: string, runs: readonly NamedRun[], places: RunPlaces): UserError {
  const where = describePlaces(places);
  const rows = loadTables().flatMap((table) => table.rows.map(({ id }) => id));
  if (rows.includes(name)) {
    return new UserError(`There is no run of ${name} under ${where} yet.`, `Make one: fcn reproduce ${name}.`);
  }
  return new UserError(
    existsSync(name)
      ? `${name} is no run directory (it holds no experiment.json), and no run under ${where} is called so.`
      : `No run is called ${name} under ${where}.`,
    suggestion(name, runs),
  );
}

function suggestion(name: string, runs: readonly NamedRun[]): string {
  const names = runs.flatMap(({ row, id }) => (name.includes('/') ? [`${row}/${id}`] : [id, row]));
  const meant = nearestAll(name, names);
  if (meant.length > 0) return `Did you mean ${alternatives(meant)}?`;
  const [row = ''] = name.split('/');
  const ofRow = runs.filter((run) => run.row === row).sort(compareNewestFirst);
  return ofRow.length > 0
    ? `The runs of ${row} are: ${listRuns(ofRow)}.`
    : 'Give a run as fcn runs list names it, a row, a run directory, or the file of a record.';
}

/**
 * What a reference leads to as a path: a run directory, which may be given by its record or its log too, or the file of a record;
 * null if it is no such path.
 */
export function runAtPath(reference: string): { readonly directory: string } | { readonly record: string } | null {
  // Else it would be a file of the working folder.
  if (reference === '') return null;
  const inside = [RECORD_FILE, LOG_FILE].includes(path.basename(reference));
  const folder = inside ? path.dirname(reference) : reference;
  if (new RunReader(folder).isRun()) return { directory: folder };
  return existsSync(reference) && !statSync(reference).isDirectory() ? { record: reference } : null;
}

/** A name in the place of a path below the folder of the runs: RUNS/ROW/RUN is ROW/RUN, RUNS/ROW is ROW. */
export function nameOfReference(reference: string, runs: string): string {
  const below = path.relative(path.resolve(runs), path.resolve(reference)).split(path.sep);
  const isBelow = below[0] !== '' && below[0] !== '..' && !path.isAbsolute(below[0]!) && below.length <= 2;
  return (reference.includes('/') || reference.includes(path.sep)) && isBelow
    ? below.join('/')
    : reference.replace(/\/+$/, '');
}

interface DirectoryRun extends NamedRun {
  readonly directory: string;
}

async function nameRun(reader: RunReader): Promise<DirectoryRun> {
  const { row, id, folder: directory } = reader;
  // One that cannot be read, of somebody else in a shared folder, say, can still be named.
  const description = await reader.description().catch((error) => {
    if (whyUnreadable(error) === null) throw error;
    return null;
  });
  return { row, id, directory, startedAt: reader.startedAt(description), number: description?.number ?? 0 };
}

async function directoriesBelow(runs: string, row?: string): Promise<DirectoryRun[]> {
  return Promise.all((await runsBelow(runs, row)).map(nameRun));
}

/** The run directory that a reference leads to as a path; null if it is a name. @throws UserError if that run has none. */
function directoryAtPath(reference: string, runs: string): RunReader | null {
  const there = runAtPath(reference);
  if (there === null) return null;
  if ('directory' in there) return new RunReader(there.directory);
  const { row, run } = readRecord(there.record);
  const reader = new RunReader(path.join(runs, row, run));
  if (reader.isRun()) return reader;
  throw new UserError(
    `${reference} is the record of ${row}/${run}, which has no directory under ${runs}.`,
    'Say with --runs where its directory is; fcn report and fcn compare need the record alone.',
  );
}

/**
 * The run directory that a reference means: a path of it, or a name as `runsCalled` takes it, of a row or a pattern the newest run;
 * the newest of all where none is given.
 * @throws UserError if there is none, or several.
 */
export async function findRunDirectory(runs: string, reference: string | undefined): Promise<RunReader> {
  const places = { runs, results: null };
  if (reference === undefined) {
    return new RunReader(newestRun(requireSome(await directoriesBelow(runs), places)).directory);
  }
  const atPath = directoryAtPath(reference, runs);
  if (atPath !== null) return atPath;
  const called = runsCalled(nameOfReference(reference, runs), await directoriesBelow(runs), places);
  return new RunReader(newestRun(called).directory);
}

/**
 * The run directories that references mean, each once: as `findRunDirectory` takes them, but of a row or a pattern all its runs.
 * @throws UserError if one means none, or the beginning of several.
 */
export async function findRunDirectories(runs: string, references: readonly string[]): Promise<RunReader[]> {
  const all = await directoriesBelow(runs);
  const found = references.flatMap((reference) => {
    const atPath = directoryAtPath(reference, runs);
    if (atPath !== null) return [atPath];
    const called = runsCalled(nameOfReference(reference, runs), all, { runs, results: null });
    return called.map(({ directory }) => new RunReader(directory));
  });
  return [...new Map(found.map((reader) => [path.resolve(reader.folder), reader])).values()];
}

/**
 * The run directory of a row that a reference means, as `findRunDirectory` takes it.
 * @param parent Folder of the row's runs, RUNS/ROW.
 * @throws UserError if it means none, several, or a run of another row or folder.
 */
export async function findRunOfRow(parent: string, reference: string): Promise<RunReader> {
  const [runs, row] = [path.dirname(parent), path.basename(parent)];
  const elsewhere = (what: string) =>
    new UserError(`${what}, and a run in ${parent} is asked for.`, 'Name a run of this row, or set --runs.');
  const atPath = directoryAtPath(reference, runs);
  if (atPath !== null) {
    const folder = path.dirname(path.resolve(atPath.folder));
    if (!isSameFolder(folder, parent)) throw elsewhere(`${reference} is a run in ${folder}`);
    return new RunReader(path.join(parent, atPath.id));
  }
  const name = nameOfReference(reference, runs);
  const [first = ''] = name.split('/');
  const isRow = first !== '' && !first.startsWith('.') && existsSync(path.join(runs, first, '.'));
  if (first !== row && isRow) throw elsewhere(`${reference} is of the row ${first}`);
  const called = runsCalled(name, await directoriesBelow(runs, row), { runs: parent, results: null });
  return new RunReader(newestRun(called).directory);
}

function isSameFolder(one: string, other: string): boolean {
  return existsSync(other) && realpathSync(one) === realpathSync(other);
}
