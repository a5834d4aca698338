import { fullPath, parseValue, shortPath } from '../../recipe/overrides.js';
import type { Row } from '../../recipe/tables.js';
import type { KnownRun } from '../../runs/catalogue.js';
import type { RunState } from '../../runs/directory.js';
import { UserError } from '../../support/errors.js';
import { sortRuns } from './order.js';
import { isFact, type RankedRun, rankedRun, valueText } from './run.js';

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
    const key = ['seed', 'profile', 'hardware'].includes(typed) ? typed : fullPath(typed, paths, '--where');
    const wanted = parseValue(`--where ${typed}`, condition.slice(equals + 1));
    return { key, wanted: JSON.stringify(wanted) };
  });
  return (run) => conditions.every(({ key, wanted }) => valueText(run, key) === wanted);
}

/**
 * Keys whose values are not the same in all runs: first those that differ between runs of one row and profile, which the row's
 * name does not tell apart, then the others; each in the order of the recipe.
 */
function differingKeys(runs: readonly RankedRun[], paths: readonly string[]): string[] {
  const differs = (key: string, among: readonly RankedRun[]) =>
    new Set(among.map((run) => valueText(run, key))).size > 1;
  const groupOf = ({ row, profile }: RankedRun) => `${row} ${profile}`;
  const groups = [...new Set(runs.map(groupOf))].map((name) => runs.filter((run) => groupOf(run) === name));
  const differing = ['profile', ...paths].filter((key) => differs(key, runs));
  const within = differing.filter((key) => groups.some((group) => differs(key, group)));
  const facts = differing.filter((key) => key === 'profile');
  return [...new Set([...facts, ...within, ...differing])];
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
  if (runs.length === 0) return { runs: [], columns: [], asked: false };
  const keys = columns?.map((typed) => (isFact(typed) ? typed : fullPath(typed, paths, '--columns')));
  return {
    runs: sortRuns(runs, { sort, reverse, paths }),
    columns: (keys ?? differingKeys(runs, paths)).map((key) => ({
      key,
      name: isFact(key) ? key : shortPath(key, paths),
    })),
    asked: columns !== undefined,
  };
}
