import { loadTables, type Table } from '../../recipe/tables.js';
import { validationNotes } from '../../records/last-validation.js';
import { dependsOnHardware, FIGURES, type Figure, measuredOn, recipeKey, type Verdict } from '../../records/verdict.js';
import { type Cell, makeCell, markNotes } from '../../tables/cell.js';
import { type LogSummary, summarizeLog } from '../../training-logs/summary.js';
import { findRow, reasonNotComparable } from '../runs/figures.js';
import { bandAt, type Departure, departures } from './band.js';
import { type ComparisonInput, type CurvePoint, rowIdOf } from './input.js';
import { predictionTest, type Significance, welchTest } from './significance.js';

export interface FigureComparison {
  readonly figure: Figure;
  readonly a: number | null;
  readonly b: number | null;
  /** a − b; null if one is missing. */
  readonly difference: number | null;
  readonly ratio: number | null;
  /** As in the published table; null if the run's figure would not be in one, and if b is not a row. */
  readonly verdict: Verdict | null;
  /** Whether memory and fps were measured on the same hardware; null if unknown, and for mIoU. */
  readonly sameHardware: boolean | null;
  /** Whether the figure is of weights that were given to the run instead of trained by it. */
  readonly givenWeights: { readonly a: boolean; readonly b: boolean };
  readonly significance: Significance | null;
}

/** The losses of both curves at a part of the schedule, averaged around it. */
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
  readonly a: ComparisonInput;
  readonly b: ComparisonInput;
  readonly figures: readonly FigureComparison[];
  /** IoU in percent, the largest difference first. */
  readonly classes: readonly {
    readonly name: string;
    readonly a: number;
    readonly b: number;
    readonly difference: number;
  }[];
  readonly stops: readonly CurveStop[];
  /** Null if a has no curve, or b too few lines for a band. */
  readonly departures: readonly Departure[] | null;
  /** Null if a or b has none. */
  readonly recipe: readonly Difference[] | null;
  readonly environment: readonly Difference[] | null;
  /** What b says besides its curve; null if it is not a log. */
  readonly log: LogSummary | null;
  /** What the reader has to know. */
  readonly notes: readonly string[];
}

const STOPS = [0.05, 0.1, 0.25, 0.5, 0.75, 1] as const;
/** A curve at a stop is the mean of its points within ± this part of the schedule. */
const STOP_WINDOW = 0.025;

interface Pair {
  readonly a: ComparisonInput;
  readonly b: ComparisonInput;
  /** Why the figures of run a compare with nothing published; null if they do, or a is not a run. */
  readonly notComparable: string | null;
  readonly tables: readonly Table[];
}

/** Whether the two are runs of the same recipe. */
function sameRecipe({ a, b }: Pair): boolean {
  const [recordA, recordB] = [a.run?.record, b.run?.record];
  return recordA != null && recordB != null && recipeKey(recordA) === recipeKey(recordB);
}

/** The figure of each seed that measured it. */
function valuesOfSeeds({ seeds }: ComparisonInput, figure: Figure): number[] {
  return seeds.flatMap(({ figures }) => figures[figure] ?? []);
}

/** Whether b belongs to another row than a. Unknown counts as no. */
function differentRows({ a, b }: Pair): boolean {
  return b.row !== null && b.row.id !== rowIdOf(a);
}

/** Null if no test is possible or meaningful. */
function significanceOf(pair: Pair, figure: Figure): Significance | null {
  const { a, b, notComparable } = pair;
  // Hardware decides these, not chance. Seeds of one recipe are one sample. Given weights do not depend on the run's seed.
  if (dependsOnHardware(figure) || sameRecipe(pair) || a.givenWeights || b.givenWeights) return null;
  const values = valuesOfSeeds(a, figure);
  if (b.kind === 'run') return welchTest(values, valuesOfSeeds(b, figure));
  const published = b.figures[figure];
  if (notComparable !== null || differentRows(pair) || published === null) return null;
  return predictionTest(values, published);
}

/** The cell that a run's figure would have in the published table; null if it has none. */
function cellOf(pair: Pair, figure: Figure): Cell | null {
  const { a, b, notComparable } = pair;
  const record = a.run?.record ?? null;
  if (b.kind !== 'row' || record === null || notComparable !== null || differentRows(pair)) return null;
  // A validation during training is no figure of the published table.
  if (figure === 'mIoU' && a.validation !== null) return null;
  return makeCell(b.row!, [record], figure, { fileOf: () => null });
}

/** Null if the hardware of a or b is unknown. */
function onSameHardware({ a, b, tables }: Pair): boolean | null {
  if (a.hardware === null || b.hardware === null) return null;
  if (b.kind === 'run') return a.hardware === b.hardware;
  if (a.run === null) return false;
  // A table names a card without its memory: "V100" is both the 16 GB and the 32 GB one.
  const names = tables.flatMap(({ hardware }) => hardware?.name ?? []);
  const name = names.find((known) => b.hardware!.includes(known)) ?? b.hardware;
  return measuredOn(name, a.run.environment);
}

function compareFigure(figure: Figure, pair: Pair): FigureComparison {
  const { a, b } = pair;
  const [valueA, valueB] = [a.figures[figure], b.figures[figure]];
  const both = valueA !== null && valueB !== null;
  const given = ({ givenWeights, figures }: ComparisonInput) =>
    givenWeights && !dependsOnHardware(figure) && figures[figure] !== null;
  return {
    figure,
    a: valueA,
    b: valueB,
    difference: both ? valueA - valueB : null,
    ratio: both && valueB !== 0 ? valueA / valueB : null,
    verdict: cellOf(pair, figure)?.verdict ?? null,
    sameHardware: dependsOnHardware(figure) ? onSameHardware(pair) : null,
    givenWeights: { a: given(a), b: given(b) },
    significance: significanceOf(pair, figure),
  };
}

function compareClasses(a: ComparisonInput, b: ComparisonInput): Comparison['classes'] {
  return [...a.classes]
    .flatMap(([name, iouA]) => {
      const iouB = b.classes.get(name);
      return iouB === undefined ? [] : [{ name, a: iouA, b: iouB, difference: iouA - iouB }];
    })
    .sort((x, y) => Math.abs(y.difference) - Math.abs(x.difference));
}

function meanAround(curve: readonly CurvePoint[], share: number): number | null {
  const near = curve.filter((point) => Math.abs(point.share - share) <= STOP_WINDOW).map(({ loss }) => loss);
  return near.length === 0 ? null : near.reduce((sum, loss) => sum + loss, 0) / near.length;
}

/** What differs between two maps, by key; null if one of them is absent. */
export function compareMaps(
  a: ReadonlyMap<string, unknown> | null,
  b: ReadonlyMap<string, unknown> | null,
): Difference[] | null {
  if (a === null || b === null) return null;
  const paths = new Set([...a.keys(), ...b.keys()]);
  return [...paths].flatMap((path) => {
    const [valueA, valueB] = [a.get(path), b.get(path)];
    return JSON.stringify(valueA) === JSON.stringify(valueB) ? [] : [{ path, a: valueA, b: valueB }];
  });
}

function chanceNotes(pair: Pair): string[] {
  const { a, b, notComparable } = pair;
  if (sameRecipe(pair)) {
    return ['Both are runs of one recipe on the same data: what differs is the seed, the machine or the version.'];
  }
  const untested = (reason: string) => [`Whether a difference is more than chance cannot be tested: ${reason}.`];
  if (a.givenWeights || b.givenWeights) return untested('given weights do not depend on a seed of the run');
  const counts = [a, b].map(({ seeds }) => seeds.length);
  if (b.kind === 'run') {
    const reason = `that takes two seeds of each recipe, and there are ${counts.join(' and ')}`;
    return counts.some((count) => count < 2) ? untested(reason) : [];
  }
  // Two publications, or figures that do not compare, are not tested in any case.
  if (a.kind !== 'run' || notComparable !== null || differentRows(pair)) return [];
  return counts[0]! < 2 ? untested('that takes two seeds; reproduce with --repeat') : [];
}

/** What a log leaves open. */
function logNotes({ a, b }: Pair): string[] {
  const { kind, row, environment, hardware } = b;
  if (kind !== 'log') return [];
  const missing = [
    ...(environment === null ? ['engine and machine'] : []),
    ...(hardware === null ? ['the hardware of its memory'] : []),
  ];
  const notes = missing.length === 0 ? [] : [`The log does not state: ${missing.join(', ')}.`];
  if (row === null) {
    const unknown = `its recipe, and whether it belongs to ${rowIdOf(a)}, are unknown`;
    return [`Neither the log nor its name says which row it belongs to: ${unknown}.`, ...notes];
  }
  if (row.id !== rowIdOf(a)) return notes;
  return [`The recipe of the log is that of ${row.id}, with the values that the log itself states.`, ...notes];
}

function notesOf(pair: Pair): string[] {
  const { a, b, notComparable } = pair;
  const notes: string[] = [];
  if (differentRows(pair)) {
    const first = a.run === null ? 'A' : 'the run';
    notes.push(
      `${b.kind === 'log' ? 'The log' : 'B'} belongs to the row ${b.row!.id}, and ${first} to ${rowIdOf(a)}: no verdict is given.`,
    );
  }
  // Beside a row of one's own without published figures there is nothing to explain.
  const publishes = b.row !== null || FIGURES.some((figure) => b.figures[figure] !== null);
  if (b.kind !== 'run' && (b.kind === 'log' || publishes) && notComparable !== null) {
    notes.push(
      `The run's figures compare with nothing published (${notComparable}): the differences say nothing about the reproduction, and get neither verdict nor test.`,
    );
  }
  if (a.curve.length > 0 && b.curve.length > 0 && a.iterations !== b.iterations) {
    notes.push(
      `The schedules differ (${a.iterations} and ${b.iterations} iterations): curves are compared at the same part of the schedule.`,
    );
  }
  notes.push(...markNotes([a, b].map((input) => ({ ...input, continued: false }))));
  notes.push(...validationNotes([a, b]));
  const [dataA, dataB] = [a, b].map(({ environment }) => environment?.get('data'));
  if (b.kind === 'run' && dataA !== undefined && dataB !== undefined && dataA !== dataB) {
    notes.push(
      'The hash of the data is of classes, names and file sizes of the samples in the splits that the stages of a run read: train, val or both.',
    );
  }
  return [...notes, ...logNotes(pair), ...chanceNotes(pair)];
}

/** Compares a log with the recipe of its row, or of a's row if the log does not say. The expected seed is that of a. */
function logSummaryOf({ a, b: { log, row }, tables }: Pair): LogSummary | null {
  return log === null ? null : summarizeLog(log, row ?? findRow(rowIdOf(a), tables), a.run?.experiment.seed);
}

export function compare(a: ComparisonInput, b: ComparisonInput): Comparison {
  const tables = loadTables();
  const notComparable = a.run === null ? null : reasonNotComparable(a.run, tables);
  const pair = { a, b, notComparable, tables };
  const curves = a.curve.length > 0 && b.curve.length > 0;
  const figures = FIGURES.filter((figure) => a.figures[figure] !== null || b.figures[figure] !== null);
  return {
    a,
    b,
    figures: figures.map((figure) => compareFigure(figure, pair)),
    classes: compareClasses(a, b),
    stops: !curves
      ? []
      : STOPS.map((share) => ({ share, a: meanAround(a.curve, share), b: meanAround(b.curve, share) })),
    departures: curves && bandAt(b.curve, 0) !== null ? departures(a.curve, b.curve) : null,
    recipe: compareMaps(a.recipe, b.recipe),
    environment: compareMaps(a.environment, b.environment),
    log: logSummaryOf(pair),
    notes: notesOf(pair),
  };
}
