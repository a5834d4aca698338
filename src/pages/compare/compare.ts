import { loadTables, type Table } from '../../recipe/tables.js';
import { dependsOnHardware, type Figure, recipeKey } from '../../records/figures.js';
import { measuredOn, type Verdict } from '../../records/verdict.js';
import { type Cell, makeCell } from '../../tables/cell.js';
import { type LogSummary, summarizeLog } from '../../training-logs/summary.js';
import { runApart } from '../runs/figures.js';
import { figuresOf, rowIdOf, type Side } from './side.js';
import {
  againstOne,
  bandAt,
  type CurvePoint,
  type Departure,
  departures,
  type Significance,
  welch,
} from './significance.js';

export interface FigureComparison {
  readonly figure: Figure;
  readonly a: number | null;
  readonly b: number | null;
  /** a − b; null where one is missing. */
  readonly difference: number | null;
  readonly ratio: number | null;
  /** As the published table gives it; null beside anything else, and where the run's figure would not stand in one. */
  readonly verdict: Verdict | null;
  /** Of memory and fps: whether both were measured on the same hardware; null of mIoU, and where it is not known. */
  readonly sameHardware: boolean | null;
  /** Whether it is of weights that were given to the run, not trained by it. */
  readonly givenWeights: { readonly a: boolean; readonly b: boolean };
  readonly significance: Significance | null;
}

/** Both curves at a part of the schedule: means around it. */
interface CurveStop {
  readonly share: number;
  readonly a: number | null;
  readonly b: number | null;
}

export interface Difference {
  readonly path: string;
  readonly a: unknown;
  readonly b: unknown;
}

export interface Comparison {
  readonly a: Side;
  readonly b: Side;
  readonly figures: readonly FigureComparison[];
  /** By the size of the difference, percent points. */
  readonly classes: readonly {
    readonly name: string;
    readonly a: number;
    readonly b: number;
    readonly difference: number;
  }[];
  readonly stops: readonly CurveStop[];
  /** Null where one of the two has no curve, or b too few lines for a band. */
  readonly departures: readonly Departure[] | null;
  /** Null where one of the two has none. */
  readonly recipe: readonly Difference[] | null;
  readonly environment: readonly Difference[] | null;
  /** What B says besides its curve, where it is a log; else null. */
  readonly log: LogSummary | null;
  /** What has to be known to read this. */
  readonly notes: readonly string[];
}

const STOPS = [0.05, 0.1, 0.25, 0.5, 0.75, 1] as const;
/** A curve at a stop is the mean of its points in ± this part of the schedule. */
const STOP_WINDOW = 0.025;

/** Whether the two are seeds of one recipe. */
function sameRecipe(a: Side, b: Side): boolean {
  const [one, other] = [a.run?.record, b.run?.record];
  return one != null && other != null && recipeKey(one) === recipeKey(other);
}

/** The figure of each seed that measured it. */
function valuesOfSeeds(side: Side, figure: Figure): number[] {
  return side.seeds.flatMap(({ figures }) => figures[figure] ?? []);
}

/**
 * @param apart Why the run's figures compare with nothing published; null where they do.
 * @returns Null where nothing can be said of chance, or a test would say something of what does not compare.
 */
function significanceOf(a: Side, b: Side, figure: Figure, apart: string | null): Significance | null {
  // What the hardware decides is not decided by chance; and seeds of one recipe are one sample.
  if (dependsOnHardware(figure) || sameRecipe(a, b)) return null;
  // Of weights that were given, no seed of the run decides anything.
  if (a.givenWeights || b.givenWeights) return null;
  const values = valuesOfSeeds(a, figure);
  if (b.kind === 'run') return welch(values, valuesOfSeeds(b, figure));
  if (apart !== null || otherRow(a, b)) return null;
  const published = b.figures[figure];
  return published === null ? null : againstOne(values, published);
}

/** Whether a row or a log is known to be another row's than the run's. */
function otherRow(a: Side, b: Side): boolean {
  return b.row !== null && b.row.id !== rowIdOf(a);
}

/** The cell of the published table that a run's figure would stand in; null where it would stand in none. */
function cellOf(a: Side, b: Side, figure: Figure, apart: string | null): Cell | null {
  const record = a.run?.record ?? null;
  if (b.kind !== 'row' || record === null || apart !== null || otherRow(a, b)) return null;
  return makeCell(b.row!, [record], figure, { fileOf: () => null });
}

/** Whether memory and fps of both were measured on the same hardware; null where it is not known of one. */
function onSameHardware(a: Side, b: Side, tables: readonly Table[]): boolean | null {
  if (a.hardware === null || b.hardware === null) return null;
  if (b.kind === 'run') return a.hardware === b.hardware;
  if (a.run === null) return false;
  // The tables tell cards apart by the names in them: a V100 is one with either size of memory.
  const named = tables.flatMap(({ hardware }) => hardware?.name ?? []);
  const name = named.find((one) => b.hardware!.includes(one)) ?? b.hardware;
  return measuredOn(name, a.run.environment);
}

function compareFigure(
  figure: Figure,
  a: Side,
  b: Side,
  apart: string | null,
  tables: readonly Table[],
): FigureComparison {
  const [one, other] = [a.figures[figure], b.figures[figure]];
  const both = one !== null && other !== null;
  const given = (side: Side) => side.givenWeights && !dependsOnHardware(figure) && side.figures[figure] !== null;
  return {
    figure,
    a: one,
    b: other,
    difference: both ? one - other : null,
    ratio: both && other !== 0 ? one / other : null,
    verdict: cellOf(a, b, figure, apart)?.verdict ?? null,
    sameHardware: dependsOnHardware(figure) ? onSameHardware(a, b, tables) : null,
    givenWeights: { a: given(a), b: given(b) },
    significance: significanceOf(a, b, figure, apart),
  };
}

function compareClasses(a: Side, b: Side): Comparison['classes'] {
  return [...a.classes]
    .flatMap(([name, one]) => {
      const other = b.classes.get(name);
      return other === undefined ? [] : [{ name, a: one, b: other, difference: one - other }];
    })
    .sort((x, y) => Math.abs(y.difference) - Math.abs(x.difference));
}

function meanAround(curve: readonly CurvePoint[], share: number): number | null {
  const near = curve.filter((point) => Math.abs(point.share - share) <= STOP_WINDOW).map(({ loss }) => loss);
  return near.length === 0 ? null : near.reduce((sum, loss) => sum + loss, 0) / near.length;
}

function compareMaps(
  a: ReadonlyMap<string, unknown> | null,
  b: ReadonlyMap<string, unknown> | null,
): Difference[] | null {
  if (a === null || b === null) return null;
  const paths = new Set([...a.keys(), ...b.keys()]);
  return [...paths].flatMap((path) => {
    const [one, other] = [a.get(path), b.get(path)];
    return JSON.stringify(one) === JSON.stringify(other) ? [] : [{ path, a: one, b: other }];
  });
}

function chanceNotes(a: Side, b: Side, apart: string | null): string[] {
  if (sameRecipe(a, b)) {
    return ['Both are runs of one recipe on the same data: what differs is the seed, the machine or the version.'];
  }
  if (a.givenWeights || b.givenWeights) {
    return [
      'Whether a difference is more than chance is not said of weights that were given: no seed here decides it.',
    ];
  }
  const counts = [a, b].map(({ seeds }) => seeds.length);
  if (b.kind === 'run') {
    return counts.some((count) => count < 2)
      ? [
          `Whether a difference is more than chance cannot be said: it takes two seeds on each side, and there are ${counts.join(' and ')}.`,
        ]
      : [];
  }
  // What does not compare is no matter of chance, nor is what two publications say.
  if (a.kind !== 'run' || apart !== null || otherRow(a, b)) return [];
  return counts[0]! < 2
    ? ['Whether a difference is more than chance cannot be said from one seed; reproduce with --repeat.']
    : [];
}

/** What a log leaves open. */
function logNotes(a: Side, b: Side): string[] {
  if (b.kind !== 'log') return [];
  const missing = [
    ...(b.environment === null ? ['engine and machine'] : []),
    ...(b.hardware === null ? ['the hardware of its memory'] : []),
  ];
  const { row } = b;
  const recipe =
    row === null
      ? `Neither the log nor its name says of which row it is: whether it belongs to ${rowIdOf(a)} is not known, nor its recipe.`
      : `The recipe of the log is that of ${row.id}, with what the log itself states of it.`;
  return [
    ...(row !== null && otherRow(a, b) ? [] : [recipe]),
    ...(missing.length === 0 ? [] : [`The log does not say: ${missing.join(', ')}.`]),
  ];
}

function notesOf(a: Side, b: Side, apart: string | null): string[] {
  const notes: string[] = [];
  if (otherRow(a, b)) {
    notes.push(
      `${b.kind === 'log' ? 'The log is' : 'B is'} of another row, ${b.row!.id}, than ${a.run === null ? `A, ${rowIdOf(a)}` : `the run, ${rowIdOf(a)}`}: no verdict is given.`,
    );
  }
  if (b.kind !== 'run' && apart !== null) {
    notes.push(
      `The run's figures compare with nothing published (${apart}): the differences say nothing of the reproduction, and get neither verdict nor test.`,
    );
  }
  if (a.curve.length > 0 && b.curve.length > 0 && a.iterations !== b.iterations) {
    notes.push(
      `The schedules differ (${a.iterations} and ${b.iterations} iterations): curves are compared by the part of the schedule that is done.`,
    );
  }
  if (a.givenWeights || b.givenWeights) notes.push('† Evaluated with weights that were given, not trained here.');
  return [...notes, ...logNotes(a, b), ...chanceNotes(a, b, apart)];
}

/**
 * What a log says, beside the recipe of its row, or of A's where nothing says whose it is. The seed is the run's.
 * @returns Null where B is no log.
 */
function logSummaryOf(a: Side, { log, row }: Side, tables: readonly Table[]): LogSummary | null {
  if (log === null) return null;
  const assumed = tables.flatMap(({ rows }) => rows).find(({ id }) => id === rowIdOf(a)) ?? null;
  return summarizeLog(log, row ?? assumed, a.run?.experiment.seed);
}

/** Sets two sides beside each other. */
export function compare(a: Side, b: Side, tables: readonly Table[] = loadTables()): Comparison {
  const apart = a.run === null ? null : runApart(a.run, tables);
  const banded = a.curve.length > 0 && bandAt(b.curve, 0) !== null;
  return {
    a,
    b,
    figures: figuresOf(a, b).map((figure) => compareFigure(figure, a, b, apart, tables)),
    classes: compareClasses(a, b),
    stops:
      a.curve.length === 0 || b.curve.length === 0
        ? []
        : STOPS.map((share) => ({ share, a: meanAround(a.curve, share), b: meanAround(b.curve, share) })),
    departures: banded ? departures(a.curve, b.curve) : null,
    recipe: compareMaps(a.recipe, b.recipe),
    environment: compareMaps(a.environment, b.environment),
    log: logSummaryOf(a, b, tables),
    notes: notesOf(a, b, apart),
  };
}
