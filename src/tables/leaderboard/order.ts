import { fullPath } from '../../recipe/overrides.js';
import { FIGURE_COLUMNS, FIGURES, type Figure } from '../../records/figures.js';
import { UserError } from '../../support/errors.js';
import { nearest } from '../../support/suggest.js';
import { isFact, type RankedRun, runValue } from './run.js';

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
export function sortRuns(runs: readonly RankedRun[], { sort, reverse, paths }: Order): RankedRun[] {
  const value = sortValue(sort, paths);
  const direction = reverse ? -1 : 1;
  return [...runs].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return direction * compareValues(a, b);
  });
}
