import { existsSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { loadTables } from '../recipe/tables.js';
import { readRecord } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { alternatives, nearestAll, wildcardExpression } from '../support/suggest.js';
import { LOG_FILE } from './log.js';
import { RECORD_FILE, RunReader, runsBelow, whyUnreadable } from './run-reader.js';

/** What identifies a run by name. */
export interface NamedRun {
  readonly row: string;
  readonly id: string;
  /** Null if only a record exists. */
  readonly directory: string | null;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Counts the runs of a row in order of their start; 0 if unknown. */
  readonly number: number;
  /** Whether training is one of its stages; if that is unknown, whether it has a log. */
  readonly trains: boolean;
}

/** Where to look for runs; `results` is null if kept records do not count. */
export interface RunPlaces {
  readonly runs: string;
  readonly results: string | null;
}

/** Maximum number of runs in a message. */
const MOST_LISTED = 5;

/** "ROW/RUN, ROW/RUN, …" */
export function listRuns(runs: readonly Pick<NamedRun, 'row' | 'id'>[]): string {
  const names = runs.slice(0, MOST_LISTED).map(({ row, id }) => `${row}/${id}`);
  return [...names, ...(runs.length > MOST_LISTED ? ['…'] : [])].join(', ');
}

/**
 * Orders the run directories of a row, newest first: by number, as clocks may be set back, then by the time in the id, then by
 * the suffix of ids of the same second.
 */
export function compareNewestFirst(a: Pick<NamedRun, 'id' | 'number'>, b: Pick<NamedRun, 'id' | 'number'>): number {
  const suffix = (id: string) => Number(/^\d+-\d+-[0-9a-f]+-(\d+)$/.exec(id)?.[1] ?? 1);
  const time = (id: string) => id.slice(0, 15);
  if (a.number !== b.number) return b.number - a.number;
  if (time(a.id) !== time(b.id)) return time(a.id) < time(b.id) ? 1 : -1;
  return suffix(b.id) - suffix(a.id);
}

/** Orders runs of any rows, oldest first. */
export function compareStarts(a: Pick<NamedRun, 'id' | 'startedAt'>, b: Pick<NamedRun, 'id' | 'startedAt'>): number {
  return a.startedAt.localeCompare(b.startedAt) || a.id.localeCompare(b.id);
}

/** The newest run: among the directories of a row by number, among rows and kept records by time. */
export function newestRun<T extends NamedRun>(runs: readonly [T, ...T[]]): T {
  const newestOfRow = new Map<string, T>();
  for (const run of runs) {
    if (run.directory === null) continue;
    const newest = newestOfRow.get(run.row);
    if (newest === undefined || compareNewestFirst(run, newest) < 0) newestOfRow.set(run.row, run);
  }
  const candidates = [...newestOfRow.values(), ...runs.filter(({ directory }) => directory === null)];
  return candidates.sort(compareStarts).at(-1)!;
}

/** The newest of the runs that train, of which evaluations are made; of all, if none trains. */
export function newestTraining<T extends NamedRun>(runs: readonly [T, ...T[]]): T {
  const training = runs.filter(({ trains }) => trains);
  return newestRun(isFilled(training) ? training : runs);
}

/** The rows and ids of a run: those in its record, and the names of its folders. */
function namesOf({ row, id, directory }: NamedRun): { row: string; id: string }[] {
  if (directory === null) return [{ row, id }];
  const folder = new RunReader(directory);
  return [
    { row, id },
    { row: folder.row, id: folder.id },
  ];
}

const isFilled = <T>(values: readonly T[]): values is readonly [T, ...T[]] => values.length > 0;

/**
 * The runs that a name means: all runs of a row, or that match a pattern of ROW, RUN or ROW/RUN; or else one run by RUN, ROW/RUN,
 * ROW.RUN (the name of a kept record), or a unique beginning of its name.
 * @throws UserError if it means no run, or several begin with it.
 */
export function runsNamed<T extends NamedRun>(
  name: string,
  runs: readonly T[],
  places: RunPlaces,
): readonly [T, ...T[]] {
  // An empty variable in a script, for example, would be the beginning of every name.
  if (name === '') throw new UserError('The name of a run is empty.', 'See fcn runs list.');
  const runsWhere = (matches: (name: { row: string; id: string }) => boolean) =>
    runs.filter((run) => namesOf(run).some(matches));
  const expression = /[*?{]/.test(name) ? wildcardExpression(name) : null;
  const group =
    expression === null
      ? runsWhere(({ row }) => row === name)
      : runsWhere(({ row, id }) => [row, id, `${row}/${id}`].some((text) => expression.test(text)));
  if (isFilled(group)) return group;
  const exact = runsWhere(({ row, id }) => [id, `${row}/${id}`, `${row}.${id}`].includes(name));
  const found =
    exact.length > 0 ? exact : runsWhere(({ row, id }) => [id, `${row}/${id}`].some((t) => t.startsWith(name)));
  if (!isFilled(found)) throw noRunNamed(name, runs, places);
  if (found.length === 1) return found;
  throw new UserError(
    `"${name}" could be ${found.length} runs: ${listRuns(found)}.`,
    'Give more of the name, or ROW/RUN.',
  );
}

/** @throws UserError if there are no runs at all. */
export function requireRuns<T>(runs: readonly T[], { runs: folder, results }: RunPlaces): readonly [T, ...T[]] {
  if (isFilled(runs)) return runs;
  throw new UserError(
    `There are no runs under ${folder}${results === null ? '' : ` and no records under ${results}`}.`,
    `Make one with fcn reproduce, or give their folder with --runs${results === null ? '' : ' and --results'}.`,
  );
}

function noRunNamed(name: string, runs: readonly NamedRun[], places: RunPlaces): UserError {
  const [, reference, which] = /^(.+):(best|last)$/.exec(name) ?? [];
  if (reference !== undefined) {
    return new UserError(
      `${name} names the ${which} weights of a run, but a run is wanted here.`,
      `Give ${reference}.`,
    );
  }
  const where = places.results === null ? places.runs : `${places.runs} and ${places.results}`;
  const rows = loadTables().flatMap((table) => table.rows.map(({ id }) => id));
  if (rows.includes(name)) {
    return new UserError(`There is no run of ${name} under ${where} yet.`, `Make one: fcn reproduce ${name}.`);
  }
  return new UserError(
    existsSync(name)
      ? `${name} is not a run directory (it has no experiment.json), and no run under ${where} has this name.`
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
 * What a reference means as a path: a run directory, also by its record or log, or a record's file; null if it is no such path.
 */
export function runAtPath(reference: string): { readonly directory: string } | { readonly record: string } | null {
  // '' would mean the working folder.
  if (reference === '') return null;
  const inside = [RECORD_FILE, LOG_FILE].includes(path.basename(reference));
  const folder = inside ? path.dirname(reference) : reference;
  if (new RunReader(folder).isRun()) return { directory: folder };
  return existsSync(reference) && !statSync(reference).isDirectory() ? { record: reference } : null;
}

/** Shortens a path below the folder of the runs to a name: RUNS/ROW/RUN to ROW/RUN, RUNS/ROW to ROW. */
export function referenceName(reference: string, runs: string): string {
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
  // A run that cannot be read, of another user for example, can still be named.
  const description = await reader.description().catch((error) => {
    if (whyUnreadable(error) === null) throw error;
    return null;
  });
  const trains =
    description?.identity.stages.includes('train') ??
    (statSync(reader.file(LOG_FILE), { throwIfNoEntry: false })?.size ?? 0) > 0;
  return { row, id, directory, startedAt: reader.startedAt(description), number: description?.number ?? 0, trains };
}

async function directoriesBelow(runs: string, row?: string): Promise<DirectoryRun[]> {
  return Promise.all((await runsBelow(runs, row)).map(nameRun));
}

/** The run directory that a reference means as a path; null if it is a name. @throws UserError if the run has no directory. */
function directoryAtPath(reference: string, runs: string): RunReader | null {
  const there = runAtPath(reference);
  if (there === null) return null;
  if ('directory' in there) return new RunReader(there.directory);
  const { row, run } = readRecord(there.record);
  const reader = new RunReader(path.join(runs, row, run));
  if (reader.isRun()) return reader;
  throw new UserError(
    `${reference} is the record of ${row}/${run}, which has no directory under ${runs}.`,
    'Give the folder of its directory with --runs; fcn report and fcn compare need only the record.',
  );
}

/**
 * The run directory that a reference means: by path or by name (`runsNamed`); for a row or pattern, the newest run that trains;
 * without reference, the newest of all.
 * @param prefer Of the runs of a row or pattern, those for which it returns a value other than null count before the others.
 * @throws UserError if there is none, or several.
 */
export async function findRunDirectory(
  runs: string,
  reference: string | undefined,
  prefer: (run: RunReader) => Promise<unknown> = async () => true,
): Promise<RunReader> {
  const places = { runs, results: null };
  if (reference === undefined) {
    return new RunReader(newestRun(requireRuns(await directoriesBelow(runs), places)).directory);
  }
  const atPath = directoryAtPath(reference, runs);
  if (atPath !== null) return atPath;
  const called = runsNamed(referenceName(reference, runs), await directoriesBelow(runs), places);
  const values = await Promise.all(called.map(({ directory }) => prefer(new RunReader(directory))));
  const preferred = called.filter((_, i) => values[i] !== null);
  return new RunReader(newestTraining(isFilled(preferred) ? preferred : called).directory);
}

/**
 * The run directories that references mean, each once: like `findRunDirectory`, but all runs of a row or pattern.
 * @throws UserError if a reference means no run, or several begin with it.
 */
export async function findRunDirectories(runs: string, references: readonly string[]): Promise<RunReader[]> {
  const all = await directoriesBelow(runs);
  const found = references.flatMap((reference) => {
    const atPath = directoryAtPath(reference, runs);
    if (atPath !== null) return [atPath];
    const called = runsNamed(referenceName(reference, runs), all, { runs, results: null });
    return called.map(({ directory }) => new RunReader(directory));
  });
  return [...new Map(found.map((reader) => [path.resolve(reader.folder), reader])).values()];
}

/**
 * Like `findRunDirectory`, but only runs of one row.
 * @param parent Folder of the row's runs, RUNS/ROW.
 * @throws UserError if the reference means no run, several, or a run of another row or folder.
 */
export async function findRunOfRow(parent: string, reference: string): Promise<RunReader> {
  const [runs, row] = [path.dirname(parent), path.basename(parent)];
  const elsewhere = (what: string) =>
    new UserError(`${what}, but a run in ${parent} was expected.`, 'Name a run of this row, or set --runs.');
  const atPath = directoryAtPath(reference, runs);
  if (atPath !== null) {
    const folder = path.dirname(path.resolve(atPath.folder));
    if (!isSameFolder(folder, parent)) throw elsewhere(`${reference} is a run in ${folder}`);
    return new RunReader(path.join(parent, atPath.id));
  }
  const name = referenceName(reference, runs);
  const [first = ''] = name.split('/');
  const isRow = first !== '' && !first.startsWith('.') && existsSync(path.join(runs, first, '.'));
  if (first !== row && isRow) throw elsewhere(`${reference} is of the row ${first}`);
  const called = runsNamed(name, await directoriesBelow(runs, row), { runs: parent, results: null });
  return new RunReader(newestRun(called).directory);
}

function isSameFolder(one: string, other: string): boolean {
  return existsSync(other) && realpathSync(one) === realpathSync(other);
}
