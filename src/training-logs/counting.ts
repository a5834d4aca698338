import type { CurveEntry } from './lines.js';

/** Epochs of a log whose iterations begin again in each. */
export interface Epochs {
  /** What places the lines. */
  readonly iterationsPerEpoch: number;
  /** The last iterations of an epoch may not be logged: it has at most this many. */
  readonly most: number;
}

/** How a log counts iterations, as its lines show together. */
export interface Counting {
  /** Null if iterations are counted through the whole training. */
  readonly epochs: Epochs | null;
  /** Number of the first epoch: some logs count from 0, others from 1. */
  readonly firstEpoch: 0 | 1;
  /** Iterations between two lines of the training; null if unknown. */
  readonly spacing: number | null;
  /** Whether evaluations give iterations of the training, not numbers of validation images or batches. */
  readonly evaluationsGiveIterations: boolean;
  readonly hasOneEvaluation: boolean;
}

export function countingOf(entries: readonly CurveEntry[]): Counting {
  const train = entries.filter(({ kind }) => kind === 'train');
  const evaluations = entries.filter(({ kind }) => kind !== 'train');
  const epochs = epochsOf(train, evaluations);
  const evaluationsGiveIterations = epochs === null && iterationsRise(evaluations);
  return {
    epochs,
    firstEpoch: train.some(({ epoch }) => epoch === 0) ? 0 : 1,
    // If every line of the training was logged with an evaluation, only these show the spacing.
    spacing: spacingOf(train) ?? (evaluationsGiveIterations ? spacingOf(evaluations) : null),
    evaluationsGiveIterations,
    hasOneEvaluation: evaluations.length === 1,
  };
}

/** The most frequent number, the smaller of two that are equally frequent; null if there are none. */
function mostFrequent(values: readonly number[]): number | null {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const best = [...counts].sort(([a, n], [b, m]) => m - n || a - b)[0];
  return best?.[0] ?? null;
}

/** Iterations between two lines. */
function spacingOf(lines: readonly CurveEntry[]): number | null {
  const given = lines.flatMap(({ iteration }) => iteration ?? []);
  const steps = given.slice(1).map((iteration, i) => iteration - given[i]!);
  return mostFrequent(steps.filter((step) => step > 0)) ?? given[0] ?? null;
}

/**
 * Iterations begin again in each epoch if they do not rise when the epoch does. (If a training went back to a checkpoint, the
 * epoch does not rise.)
 */
function epochsOf(train: readonly CurveEntry[], evaluations: readonly CurveEntry[]): Epochs | null {
  let restarts = 0;
  let advances = 0;
  for (const [i, { iteration, epoch }] of train.entries()) {
    const before = train[i - 1];
    if (before === undefined || epoch === null || before.epoch === null || epoch <= before.epoch) continue;
    if (iteration! <= before.iteration!) restarts++;
    else advances++;
  }
  if (restarts <= advances) return null;
  const last = train.reduce((most, { iteration }) => Math.max(most, iteration!), 0);
  const spacing = spacingOf(train)!;
  // A remainder was logged: it is the end of the epoch.
  if (last % spacing !== 0) return { iterationsPerEpoch: last, most: last };
  // Earlier versions of the original wrote the last iteration of the epoch into the evaluation's line.
  const given = new Set(evaluations.map(({ iteration }) => iteration));
  const [end] = given;
  if (given.size === 1 && end !== null && end! >= last && end! < last + spacing) {
    return { iterationsPerEpoch: end!, most: end! };
  }
  return { iterationsPerEpoch: last, most: last + spacing - 1 };
}

/** Iterations rise from one evaluation to the next; numbers of images do not. */
function iterationsRise(evaluations: readonly CurveEntry[]): boolean {
  const given = evaluations.flatMap(({ iteration }) => iteration ?? []);
  const rises = given.filter((iteration, i) => i > 0 && iteration > given[i - 1]!).length;
  return given.length === 1 || rises > given.length - 1 - rises;
}
