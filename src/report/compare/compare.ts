import { loadTables, type Table } from '../../experiments/load.js';
import type { Figure } from '../figures.js';
import { dependsOnHardware } from '../figures.js';
import { recipeKey } from '../spread.js';
import { reasonApart } from '../table.js';
import { judge, type Verdict } from '../verdict.js';
import { bandAt, type CurvePoint, type Departure, departures } from './band.js';
import { figuresOf, type Side } from './side.js';
import { againstOne, type Significance, welch } from './significance.js';

export interface FigureComparison {
  readonly figure: Figure;
  readonly a: number | null;
  readonly b: number | null;
  /** a − b; null where one is missing. */
  readonly difference: number | null;
  readonly ratio: number | null;
  /** Beside a published row's figure, where the run's compares with it. */
  readonly verdict: Verdict | null;
  /** Of memory and fps: whether both were measured on the same hardware; null for the others, or where it is not known. */
  readonly sameHardware: boolean | null;
  readonly significance: Significance | null;
}

/** Both curves at a part of the schedule: means around it. */
export interface CurveStop {
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

function significanceOf(a: Side, b: Side, figure: Figure): Significance | null {
  // What the hardware decides is not decided by chance; and seeds of one recipe are one sample.
  if (dependsOnHardware(figure) || sameRecipe(a, b)) return null;
  const values = valuesOfSeeds(a, figure);
  if (b.kind === 'run') return welch(values, valuesOfSeeds(b, figure));
  const published = b.figures[figure];
  return published === null ? null : againstOne(values, published);
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
  const table =
    b.kind === 'row' ? tables.find(({ rows }) => rows.some(({ id }) => id === a.run?.experiment.row)) : undefined;
  const tolerance = dependsOnHardware(figure) ? undefined : table?.tolerance?.[figure as 'mIoU' | 'mIoUMsFlip'];
  const known = a.hardware !== null && b.hardware !== null;
  return {
    figure,
    a: one,
    b: other,
    difference: both ? one - other : null,
    ratio: both && other !== 0 ? one / other : null,
    verdict: tolerance === undefined || apart !== null ? null : judge({ published: other, reproduced: one, tolerance }),
    sameHardware: dependsOnHardware(figure) && known ? a.hardware === b.hardware : null,
    significance: significanceOf(a, b, figure),
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

function notesOf(a: Side, b: Side, apart: string | null): string[] {
  const notes: string[] = [];
  if (b.kind === 'row' && apart !== null) {
    notes.push(
      `The run's figures compare with nothing published (${apart}): the differences say nothing of the reproduction.`,
    );
  }
  if (a.curve.length > 0 && b.curve.length > 0 && a.iterations !== b.iterations) {
    notes.push(
      `The schedules differ (${a.iterations} and ${b.iterations} iterations): curves are compared by the part of the schedule that is done.`,
    );
  }
  if (sameRecipe(a, b))
    notes.push('Both are runs of one recipe on the same data: what differs is the seed, the machine or the version.');
  else if (b.kind === 'run') {
    const counts = [a, b].map(({ seeds }) => seeds.length);
    if (counts.some((count) => count < 2)) {
      notes.push(
        `Whether a difference is more than chance cannot be said: it takes two seeds on each side, and there are ${counts.join(' and ')}.`,
      );
    }
  } else if (a.seeds.length < 2) {
    notes.push('Whether a difference is more than chance cannot be said from one seed; reproduce with --repeat.');
  }
  return notes;
}

/** Sets two sides beside each other. */
export function compare(a: Side, b: Side, tables: readonly Table[] = loadTables()): Comparison {
  const record = a.run?.record ?? null;
  const apart = record === null ? null : reasonApart(record, tables);
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
    notes: notesOf(a, b, apart),
  };
}
