import { identifyingValue } from '../../recipe/named-files.js';
import { fullPath, parseValue, shortPath } from '../../recipe/overrides.js';
import { findTable, selectRows, tablesOf } from '../../recipe/select.js';
import type { Row } from '../../recipe/tables.js';
import { isKept, type OnBroken } from '../../records/folder.js';
import { FIGURE_COLUMNS, FIGURES, type Figure } from '../../records/verdict.js';
import { type KnownRun, RunCatalogue } from '../../runs/catalogue.js';
import type { RunState } from '../../runs/directory.js';
import { UserError } from '../../support/errors.js';
import { nearest } from '../../support/suggest.js';
import type { ReportOptions } from '../report.js';
import type { SortKey } from '../rows.js';
import { isFact, type RankedRun, rankedRun, runValue, valueText } from './run.js';

/** A column of a value that differs between runs, or was asked for. */
export interface BoardColumn {
  /** The path of a value of the recipe, or a fact. */
  readonly key: string;
  /** As short as it may be, for a heading. */
  readonly name: string;
}

export interface Leaderboard {
  /** In the order that was asked for. */
  readonly runs: readonly RankedRun[];
  /** The most telling first. */
  readonly columns: readonly BoardColumn[];
  /** Values that differ from the published recipe, the same in all runs: no column shows them. */
  readonly shared: readonly BoardColumn[];
  /** Whether these columns were asked for: then they are left out last. */
  readonly asked: boolean;
}

export interface LeaderboardOptions {
  /** Only runs in these states. */
  readonly states?: readonly RunState[] | undefined;
  /** `key=value`, all of which must hold. */
  readonly where?: readonly string[] | undefined;
  /** Only runs of these rows. */
  readonly rows?: readonly Row[] | undefined;
  readonly profile?: string | undefined;
  /** Keys to show instead of those that differ. */
  readonly columns?: readonly string[] | undefined;
  /** Default: mIoU. */
  readonly sort?: string | undefined;
  readonly reverse?: boolean | undefined;
}

/** Every path that a recipe of the runs has, in the order of the recipes. */
function pathsOf(runs: readonly RankedRun[]): string[] {
  return [...new Set(runs.flatMap(({ values }) => [...values.keys()]))];
}

function matches(where: readonly string[], paths: readonly string[]): (run: RankedRun) => boolean {
  const conditions = where.map((condition) => {
    const equals = condition.indexOf('=');
    if (equals < 1) throw new UserError(`--where ${condition}: expected key=value.`, 'For example: --where width=16.');
    const typed = condition.slice(0, equals).trim();
    if (typed === 'row' || typed === 'run') {
      throw new UserError(
        `--where ${condition}: ${typed}s are named without --where.`,
        `For example: fcn runs table ${condition.slice(equals + 1) || 'ROW'}; patterns are taken, too.`,
      );
    }
    const key = ['seed', 'profile', 'hardware'].includes(typed) ? typed : fullPath(typed, paths, '--where');
    const wanted = parseValue(`--where ${typed}`, condition.slice(equals + 1));
    return { key, wanted: JSON.stringify(identifyingValue(key, wanted)) };
  });
  return (run) => conditions.every(({ key, wanted }) => valueText(run, key) === wanted);
}

/** How many of the runs have another value than most of them have. */
function apart(key: string, runs: readonly RankedRun[]): number {
  const counts = new Map<string, number>();
  for (const run of runs) counts.set(valueText(run, key), (counts.get(valueText(run, key)) ?? 0) + 1);
  return runs.length - Math.max(...counts.values());
}

/**
 * Keys whose values are not the same in all runs: first those that differ between runs of one row and profile, which the row's
 * name does not tell apart, and of them those that tell most runs apart; then the others. Equal ones are in the order of the recipe.
 */
function differingKeys(runs: readonly RankedRun[], paths: readonly string[]): string[] {
  const groupOf = ({ row, profile }: RankedRun) => `${row} ${profile}`;
  const groups = [...new Set(runs.map(groupOf))].map((name) => runs.filter((run) => groupOf(run) === name));
  const differing = ['profile', ...paths].filter((key) => apart(key, runs) > 0);
  const withinGroups = (key: string) => groups.reduce((sum, group) => sum + apart(key, group), 0);
  const within = differing.filter((key) => withinGroups(key) > 0).sort((a, b) => withinGroups(b) - withinGroups(a));
  const facts = differing.filter((key) => key === 'profile');
  return [...new Set([...facts, ...within, ...differing])];
}

/** Paths of values that all runs have changed, to the same. */
function sharedDeviations(runs: readonly RankedRun[]): string[] {
  const [first, ...others] = runs;
  return [...(first?.deviating ?? [])].filter((key) =>
    others.every((run) => run.deviating.has(key) && valueText(run, key) === valueText(first!, key)),
  );
}

/** Kept records without a run directory, such as those of a repository: they are not of whoever trains here. */
export function isOnlyKept({ directory, file }: KnownRun): boolean {
  return directory === null && isKept(file);
}

/**
 * Puts runs beside each other, a line each.
 * @param known Every known run, from which short names must tell apart.
 * @throws UserError for a key that no recipe of the runs has.
 */
export function makeLeaderboard(
  chosen: readonly KnownRun[],
  known: readonly KnownRun[],
  options: LeaderboardOptions = {},
): Leaderboard {
  const { states, where = [], rows, profile, columns, sort = 'mIoU', reverse = false } = options;
  const wanted = rows && new Set(rows.map(({ id, table }) => `${table.name}/${id}`));
  const all = chosen
    .filter(({ experiment: { table, row } }) => wanted?.has(`${table}/${row}`) ?? true)
    .map((run) => rankedRun(run, known));
  const paths = pathsOf(all);
  const isMatch = all.length === 0 ? () => true : matches(where, paths);
  const runs = all.filter(
    (run) =>
      (states?.includes(run.state) ?? true) && (profile === undefined || run.profile === profile) && isMatch(run),
  );
  if (runs.length === 0) return { runs: [], columns: [], shared: [], asked: false };
  const named = columns?.map((typed) => (isFact(typed) ? typed : fullPath(typed, paths, '--columns')));
  const keys = named && [...new Set(named)];
  const column = (key: string): BoardColumn => ({ key, name: isFact(key) ? key : shortPath(key, paths) });
  const shown = keys ?? differingKeys(runs, paths);
  return {
    runs: sortRuns(runs, { sort, reverse, paths }),
    columns: shown.map(column),
    shared: sharedDeviations(runs)
      .filter((key) => !shown.includes(key))
      .map(column),
    asked: columns !== undefined,
  };
}

interface Order {
  /** A figure, `row`, `run`, `seed`, `state`, a fact, or a value of the recipe. */
  readonly sort: string;
  /** The other way round; runs without the value stay last. */
  readonly reverse: boolean;
  /** Every path that a recipe of the runs has. */
  readonly paths: readonly string[];
}

type SortValue = number | string | null;

/** Of figures the best comes first: the highest, but the least memory. */
const FIGURE_KEYS: Readonly<Record<string, Figure>> = {
  memory: 'memoryGB',
  ...Object.fromEntries(FIGURES.slice(1).map((figure, i) => [FIGURE_COLUMNS[i + 1]!, figure])),
};

const NAMES = ['row', 'run', 'seed', 'state'] as const;

/** The keys of `--sort` besides values of the recipe. */
const SORT_NAMES = [...Object.keys(FIGURE_KEYS), ...NAMES, 'started', 'profile', 'hardware'];

function comparable(value: unknown): SortValue {
  if (value === undefined || value === null) return null;
  return typeof value === 'number' ? value : typeof value === 'string' ? value : JSON.stringify(value);
}

function sortValue(sort: string, paths: readonly string[]): (run: RankedRun) => SortValue {
  const figure = Object.hasOwn(FIGURE_KEYS, sort) ? FIGURE_KEYS[sort] : undefined;
  if (figure !== undefined) {
    const sign = figure === 'memoryGB' ? 1 : -1;
    return ({ figures }) => (figures[figure] === null ? null : sign * figures[figure]);
  }
  const name = NAMES.find((known) => known === sort);
  if (name !== undefined) return (run) => run[name];
  const key = isFact(sort) ? sort : recipeKey(sort, paths);
  return (run) => comparable(runValue(run, key));
}

function recipeKey(sort: string, paths: readonly string[]): string {
  try {
    return fullPath(sort, paths, '--sort');
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const meant = nearest(sort, SORT_NAMES);
    if (meant !== undefined) throw new UserError(error.message, `Did you mean ${meant}?`, { cause: error });
    const next = `${error.next ?? ''} Besides values of the recipe it takes ${SORT_NAMES.join(', ')}.`;
    throw new UserError(error.message, next.trim(), { cause: error });
  }
}

function compareValues(a: SortValue, b: SortValue): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en');
}

/** Runs in an order; those without the value last, equal ones as they were. @throws UserError for a key that there is not. */
function sortRuns(runs: readonly RankedRun[], { sort, reverse, paths }: Order): RankedRun[] {
  const value = sortValue(sort, paths);
  const direction = reverse ? -1 : 1;
  return [...runs].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return direction * compareValues(a, b);
  });
}

interface OwnOptions extends Omit<ReportOptions, 'file'> {
  readonly file: readonly string[];
}

/** The order of a leaderboard that an order of rows means. @throws UserError if it needs published figures. */
function sortOf(sort: SortKey = 'here'): string {
  if (sort === 'published' || sort === 'here') return 'mIoU';
  if (sort !== 'backbone' && sort !== 'difference') return sort;
  throw new UserError(
    `--sort ${sort} orders published rows, and nothing is published here.`,
    'Use row, memory, fps, mIoU or ms+flip; fcn runs table --sort also takes values of the recipe.',
  );
}

/**
 * The leaderboard of the runs of experiment files; null if one of their rows has published figures.
 * @throws UserError for an unknown row or table, or an order that needs published figures.
 */
export async function ownLeaderboard(options: OwnOptions, onBroken: OnBroken): Promise<Leaderboard | null> {
  const { file, table, rows: patterns = [], profile, sort, results, runs } = options;
  const tables = tablesOf(file);
  const publishes = tables.some((one) => one.rows.some(({ published }) => FIGURES.some((f) => published[f] !== null)));
  if (publishes) return null;
  const named = table === undefined ? tables : [findTable(tables, table)];
  const rows = patterns.length === 0 ? named.flatMap((one) => one.rows) : selectRows({ patterns, table, file });
  const known = await new RunCatalogue({ results, runs }, onBroken).all();
  return makeLeaderboard(known, known, { rows, profile, sort: sortOf(sort) });
}
