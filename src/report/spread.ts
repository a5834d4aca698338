import { canonicalJson } from '../experiments/hash.js';
import type { RunRecord } from '../runs/record.js';
import { FIGURES, type Figure } from './figures.js';

/** Mean and sample standard deviation of a figure over runs. */
export interface MeanAndDeviation {
  readonly mean: number;
  readonly deviation: number;
}

/** Runs of one recipe that differ in the seed. */
export interface Spread {
  readonly row: string;
  readonly profile: string;
  readonly overrides: readonly string[];
  readonly seeds: readonly number[];
  /** Null where fewer than two of the runs measured it. */
  readonly figures: Readonly<Record<Figure, MeanAndDeviation | null>>;
}

function meanAndDeviation(values: readonly number[]): MeanAndDeviation | null {
  const count = values.length;
  if (count < 2) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (count - 1)) };
}

/**
 * What the seed alone changes: runs of the same recipe on the same data, the newest of each seed.
 * @param records Oldest first.
 */
export function spreads(records: readonly RunRecord[]): Spread[] {
  const groups = new Map<string, Map<number, RunRecord>>();
  for (const record of records) {
    const { experiment, dataset, stages, seed } = record;
    const key = canonicalJson([{ ...experiment, seed: null }, dataset?.fingerprint, stages.map(({ stage }) => stage)]);
    const group = groups.get(key) ?? new Map<number, RunRecord>();
    groups.set(key, group.set(seed, record));
  }
  return [...groups.values()]
    .filter(({ size }) => size > 1)
    .map((group) => {
      const runs = [...group.values()].sort((a, b) => a.seed - b.seed);
      const { row, profile, overrides } = runs[0]!;
      const over = (figure: Figure) => meanAndDeviation(runs.flatMap(({ figures }) => figures[figure] ?? []));
      const figures = Object.fromEntries(FIGURES.map((figure) => [figure, over(figure)])) as Spread['figures'];
      return { row, profile, overrides, seeds: runs.map(({ seed }) => seed), figures };
    });
}
