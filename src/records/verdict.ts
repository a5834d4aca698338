import type { PublishedFigures } from '../recipe/experiment.js';
import { canonicalJson, identityOf, recipeChanges } from '../recipe/resolve.js';
import type { Table } from '../recipe/tables.js';
import { shortNumber } from '../support/format.js';
import { weightsIdentity } from '../weights/load.js';
import { hardwareName } from './environment.js';
import type { Environment, RunRecord } from './record.js';

/** How far a figure may be from the published one and still count as reproduced. */
export interface FigureTolerance {
  /** In the figure's unit. */
  readonly value: number;
  /** What the value is based on. */
  readonly source: string;
}

/** Whether the GPU's name, as the driver reports it, contains this one: "V100" matches either memory size. */
export function measuredOn(card: string, { device, gpus }: Pick<Environment, 'device' | 'gpus'>): boolean {
  return device === 'gpu' && gpus[0]?.name.includes(card) === true;
}

/**
 * The tolerance of a figure: the table's for mIoU, a share of the published figure for memory and fps.
 * @param environments Of all runs that measured the figure.
 * @returns Null if the figures are not comparable: no tolerance is known, or memory and fps are from other hardware.
 */
export function toleranceOf(
  { tolerance, hardware }: Pick<Table, 'tolerance' | 'hardware'>,
  figure: Figure,
  published: number,
  environments: readonly Environment[],
): FigureTolerance | null {
  if (!dependsOnHardware(figure)) {
    return tolerance && { value: tolerance[figure as 'mIoU' | 'mIoUMsFlip'], source: tolerance.reason };
  }
  if (hardware === null || !environments.every((one) => measuredOn(hardware.name, one))) return null;
  return { value: hardware.tolerance * published, source: hardware.reason };
}

export type Verdict = 'reproduced' | 'above' | 'below' | 'nothing published' | 'not run';

interface VerdictOptions {
  readonly published: number | null;
  readonly reproduced: number | null;
  /** Largest difference that counts as reproduced, in the figures' unit. */
  readonly tolerance: number;
}

/** Compares a reproduced figure with the published one. */
export function judge({ published, reproduced, tolerance }: VerdictOptions): Verdict {
  if (reproduced === null) return 'not run';
  if (published === null) return 'nothing published';
  // Rounded as printed: a difference that prints as the tolerance is within it.
  const difference = Math.round((reproduced - published) * 100) / 100;
  if (Math.abs(difference) <= tolerance) return 'reproduced';
  return difference > 0 ? 'above' : 'below';
}

/** The figures of a table row, in column order. */
export const FIGURES = ['memoryGB', 'fps', 'mIoU', 'mIoUMsFlip'] as const satisfies readonly (keyof PublishedFigures)[];
export type Figure = (typeof FIGURES)[number];

/** Column headings of the published tables. */
export const FIGURE_HEADINGS: Readonly<Record<Figure, string>> = {
  memoryGB: 'Mem (GB)',
  fps: 'Inf time (fps)',
  mIoU: 'mIoU',
  mIoUMsFlip: 'mIoU(ms+flip)',
};

/** Short column headings, in the order of `FIGURES`. */
export const FIGURE_COLUMNS = ['Mem', 'fps', 'mIoU', 'ms+flip'] as const;

export function dependsOnHardware(figure: Figure): boolean {
  return figure === 'memoryGB' || figure === 'fps';
}

/** A figure with two decimals; a dash for null. */
export function formatFigure(value: number | null): string {
  if (value === null) return '–';
  return Math.abs(value) < 1e5 ? value.toFixed(2) : shortNumber(value);
}

/** A figure with two decimals; below 0.1, as a small network's memory, with two significant digits. */
export function formatSmallFigure(value: number | null): string {
  return value === null || value === 0 || value >= 0.1 ? formatFigure(value) : value.toPrecision(2);
}

/** The figures of a table row, in the table's units. */
export function figuresOf({
  evaluate,
  'evaluate-ms': multiScale,
  benchmark,
}: RunRecord['details']): RunRecord['figures'] {
  return {
    memoryGB: benchmark === null ? null : benchmark.memory.liveTensorBytes / 2 ** 30,
    fps: benchmark?.fps ?? null,
    mIoU: evaluate === null ? null : evaluate.mIoU * 100,
    mIoUMsFlip: multiScale === null ? null : multiScale.mIoU * 100,
  };
}

/** Mean and sample standard deviation of a figure over runs. */
interface MeanAndDeviation {
  readonly mean: number;
  readonly deviation: number;
}

interface SpreadRun {
  readonly run: string;
  readonly seed: number;
  /** The record's file; null if it was not read from a file. */
  readonly file: string | null;
}

/** Mean and deviation over runs that differ only in the seed. */
export interface Spread {
  /** `published` if all runs are comparable with published figures; otherwise by profile. */
  readonly kind: 'published' | 'smoke' | 'local';
  readonly row: string;
  readonly profile: string;
  /** Changes of the recipe besides the profile: `width=32`. */
  readonly changes: readonly string[];
  readonly seeds: readonly number[];
  /** In the order of the seeds. */
  readonly runs: readonly SpreadRun[];
  /** Null if fewer than two runs measured it; memory and fps also if the hardware differs. */
  readonly figures: Readonly<Record<Figure, MeanAndDeviation | null>>;
}

/** @returns Mean and sample standard deviation, which is null for a single value. @throws Error if there are no values. */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number | null } {
  const count = values.length;
  if (count === 0) throw new Error('The mean of no values.');
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: count < 2 ? null : Math.sqrt(squares / (count - 1)) };
}

/** @param records Oldest first. @returns In order of the seeds. */
export function newestOfEachSeed(records: readonly RunRecord[]): RunRecord[] {
  return [...new Map(records.map((record) => [record.seed, record])).values()].sort((a, b) => a.seed - b.seed);
}

/** Equal for runs with the same recipe except the seed, the same stages, data and, if given, weights. */
export function recipeKey({ experiment, dataset, stages, weights }: RunRecord): string {
  const given = weights?.source === 'given' ? weightsIdentity(weights.sha256, weights.key) : null;
  const recipe = { ...identityOf(experiment), seed: null };
  return canonicalJson([recipe, dataset?.fingerprint, stages.map(({ stage }) => stage), given]);
}

interface SpreadOptions {
  readonly fileOf?: (record: RunRecord) => string | null;
  readonly isPublished?: (record: RunRecord) => boolean;
}

/**
 * Groups runs that differ only in the seed, with the newest run of each seed.
 * @param records Oldest first.
 */
export function spreads(
  records: readonly RunRecord[],
  { fileOf = () => null, isPublished = () => false }: SpreadOptions = {},
): Spread[] {
  const groups = new Map<string, RunRecord[]>();
  for (const record of records) {
    const key = recipeKey(record);
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  return [...groups.values()]
    .map(newestOfEachSeed)
    .filter((runs) => runs.length > 1)
    .map((runs) => {
      const { row, profile } = runs[0]!;
      const over = (figure: Figure): MeanAndDeviation | null => {
        const hardware = new Set(runs.map(({ environment }) => hardwareName(environment)));
        if (dependsOnHardware(figure) && hardware.size > 1) return null;
        const values = runs.flatMap(({ figures }) => figures[figure] ?? []);
        if (values.length < 2) return null;
        const { mean, deviation } = meanAndDeviation(values);
        return { mean, deviation: deviation! };
      };
      const figures = Object.fromEntries(FIGURES.map((figure) => [figure, over(figure)])) as Spread['figures'];
      const unpublished = profile === 'smoke' ? 'smoke' : 'local';
      return {
        kind: runs.every(isPublished) ? 'published' : unpublished,
        row,
        profile,
        changes: recipeChanges(runs[0]!),
        seeds: runs.map(({ seed }) => seed),
        runs: runs.map((record) => ({ run: record.run, seed: record.seed, file: fileOf(record) })),
        figures,
      };
    });
}
