import type { CurveEntry, LeftOutEntry, LogEntry, RawFigures, RawTraining } from './lines.js';

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

function countingOf(entries: readonly CurveEntry[]): Counting {
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

/** A line of the training at its place. */
export interface PublishedTrainLine extends RawTraining {
  /** Of the whole training, from 1. */
  readonly iteration: number;
  /** As written, from 0 or 1; null if the line has none. */
  readonly epoch: number | null;
}

interface PlacedTraining extends PublishedTrainLine {
  readonly line: number;
}

interface PlacedEvaluation {
  readonly line: number;
  readonly iteration: number;
  readonly figures: RawFigures;
  /** What the line has as `iter` if that is not an iteration: the number of validation images or batches. */
  readonly counted: number | null;
}

/** Lines that share a reason, by their numbers from 1. */
export interface LineGroup {
  readonly reason: string;
  readonly lines: readonly number[];
}

export interface Placement {
  readonly train: readonly PlacedTraining[];
  /** By iteration, at most one of each. */
  readonly evaluations: readonly PlacedEvaluation[];
  /** Lines that could not be placed. */
  readonly dropped: readonly LineGroup[];
  /** Lines of iterations that the training did again later. */
  readonly replaced: readonly LineGroup[];
  /** Lines that are understood and belong to no curve. */
  readonly unused: readonly LineGroup[];
  /** Null if iterations are counted through the whole training. */
  readonly epochs: Epochs | null;
}

/** Lines by reason, in the order in which the reasons came up. */
export class LineGroups {
  private readonly found = new Map<string, number[]>();

  add(reason: string, lines: readonly number[]): void {
    const group = this.found.get(reason);
    if (group === undefined) this.found.set(reason, [...lines]);
    // No spread: a log may have more lines than a call takes arguments.
    else for (const line of lines) group.push(line);
  }

  list(): LineGroup[] {
    return [...this.found].map(([reason, lines]) => ({ reason, lines }));
  }
}

/**
 * Places the lines of a log in its training.
 *
 * A line of the training that goes back replaces, together with the lines after it, what had been logged from there on: the
 * training resumed from a checkpoint. A single line that goes back is out of order. An evaluation belongs to the iteration that it
 * gives if that is between the lines of the training around it, else to the last line of the training.
 */
export function place(entries: readonly LogEntry[]): Placement {
  const isLeftOut = (entry: LogEntry): entry is LeftOutEntry => 'reason' in entry;
  const placer = new Placer(
    countingOf(entries.filter((entry): entry is CurveEntry => entry.kind !== 'header' && !isLeftOut(entry))),
  );
  const following = nextTrainingLines(entries);
  for (const [index, entry] of entries.entries()) {
    if (entry.kind === 'header') continue;
    if (isLeftOut(entry)) placer.leaveOut(entry);
    else if (entry.kind === 'train') {
      placer.placeTraining(entry, following[index]!, entries[index - 1]?.kind === 'header');
    } else placer.placeEvaluation(entry, following[index]!);
  }
  return placer.placement();
}

/** For each entry the next line of the training; null if a header, with which the training starts again, is before it. */
function nextTrainingLines(entries: readonly LogEntry[]): (CurveEntry | null)[] {
  const following: (CurveEntry | null)[] = [];
  for (let i = entries.length - 1, next: CurveEntry | null = null; i >= 0; i--) {
    following[i] = next;
    const entry = entries[i]!;
    if (entry.kind === 'header') next = null;
    else if (entry.kind === 'train') next = entry;
  }
  return following;
}

/** Removes what is placed at an iteration or later. Returns the numbers of the lines, in order. */
function removeFrom(iteration: number, ...placed: { readonly line: number; readonly iteration: number }[][]): number[] {
  const lines: number[] = [];
  for (const list of placed) {
    while (list.length > 0 && list.at(-1)!.iteration >= iteration) lines.push(list.pop()!.line);
  }
  return lines.sort((a, b) => a - b);
}

/** Places one line after the other. */
class Placer {
  private readonly train: PlacedTraining[] = [];
  private readonly evaluations: PlacedEvaluation[] = [];
  private readonly dropped = new LineGroups();
  private readonly replaced = new LineGroups();
  private readonly unused = new LineGroups();

  constructor(private readonly counting: Counting) {}

  leaveOut({ kind, reason, line }: LeftOutEntry): void {
    (kind === 'unused' ? this.unused : this.dropped).add(reason, [line]);
  }

  /**
   * @param next The next line of the training.
   * @param afterHeader Whether the training starts, or starts again, with this line.
   */
  placeTraining(entry: CurveEntry, next: CurveEntry | null, afterHeader: boolean): void {
    const iteration = this.iterationOf(entry);
    const after = this.iterationOf(next);
    const last = this.train.at(-1)?.iteration ?? null;
    const isBetween = last !== null && iteration !== null && iteration < last && after !== null && after > last;
    if (iteration === null) this.dropped.add('a loss without an epoch, in a log by epoch', [entry.line]);
    else if (isBetween && !afterHeader) {
      this.dropped.add('an iteration out of order, between two others', [entry.line]);
    } else this.addTraining(entry, iteration);
  }

  /** @param next The next line of the training. */
  placeEvaluation(entry: CurveEntry, next: CurveEntry | null): void {
    const after = this.iterationOf(next);
    if (entry.kind === 'mixed') {
      const free = this.freeIteration(entry.iteration, after);
      if (free !== null) this.addTraining(entry, free);
      else this.dropped.add('a loss in the line of an evaluation, with no iteration left for it', [entry.line]);
    }
    const iteration = this.evaluationIteration(entry.iteration, next, after);
    if (iteration === null) {
      this.dropped.add('an evaluation without an iteration', [entry.line]);
      return;
    }
    const lines = removeFrom(iteration, this.evaluations);
    if (lines.length > 0) this.replaced.add('evaluations that were done again at the same iteration', lines);
    const counted = this.isCount(entry, iteration) ? entry.iteration : null;
    this.evaluations.push({ line: entry.line, iteration, figures: entry.figures!, counted });
  }

  placement(): Placement {
    return {
      train: this.train,
      evaluations: this.evaluations,
      dropped: this.dropped.list(),
      replaced: this.replaced.list(),
      unused: this.unused.list(),
      epochs: this.counting.epochs,
    };
  }

  private addTraining({ line, epoch, training }: CurveEntry, iteration: number): void {
    const last = this.train.at(-1)?.iteration ?? Number.NEGATIVE_INFINITY;
    if (iteration <= last) {
      const reason =
        iteration === last
          ? 'iterations that were logged again in the next line'
          : `the training went back to iteration ${iteration} in line ${line}`;
      this.replaced.add(reason, removeFrom(iteration, this.train, this.evaluations));
    }
    this.train.push({ line, iteration, epoch, ...training! });
  }

  /** Of the whole training; null without a line, or if the log counts by epoch and the line has none. */
  private iterationOf(entry: CurveEntry | null): number | null {
    const { epochs, firstEpoch } = this.counting;
    if (entry === null || epochs === null) return entry?.iteration ?? null;
    return entry.epoch === null ? null : (entry.epoch - firstEpoch) * epochs.iterationsPerEpoch + entry.iteration!;
  }

  /**
   * Where training values that were logged with an evaluation belong; null if no iteration is free.
   * @param given What the line has as its iteration.
   * @param after The iteration of the next line of the training.
   */
  private freeIteration(given: number | null, after: number | null): number | null {
    const { epochs, spacing, evaluationsGiveIterations } = this.counting;
    if (epochs !== null || spacing === null) return null;
    const last = this.train.at(-1)?.iteration ?? null;
    if (last === null) return after === null ? given : after - spacing > 0 ? after - spacing : null;
    const isFree = given !== null && given > last && given <= last + spacing && (after === null || given < after);
    if (evaluationsGiveIterations && isFree) return given;
    return after === null || after > last + spacing ? last + spacing : null;
  }

  private evaluationIteration(given: number | null, next: CurveEntry | null, after: number | null): number | null {
    const { epochs, firstEpoch, evaluationsGiveIterations, hasOneEvaluation } = this.counting;
    const spacing = this.counting.spacing ?? 0;
    const last = this.train.at(-1);
    if (last === undefined) {
      if (given !== null && (after === null || given < after)) return given;
      return after === null ? null : Math.max(0, after - spacing);
    }
    if (epochs !== null) {
      // The last iterations of an epoch need not be logged: the evaluation is at its end.
      const ends = last.epoch !== null && (next === null || (next.epoch ?? 0) > last.epoch);
      return ends ? (last.epoch! + 1 - firstEpoch) * epochs.iterationsPerEpoch : last.iteration;
    }
    if (!evaluationsGiveIterations || given === null || given <= last.iteration) return last.iteration;
    const limit = last.iteration + spacing;
    const fits = hasOneEvaluation
      ? given === limit && (after === null || after > given)
      : given <= (after === null || after <= last.iteration ? limit : after);
    return fits ? given : last.iteration;
  }

  /** Whether what an evaluation's line has as `iter` cannot be the iteration at which it is placed. */
  private isCount({ iteration: given, isIter }: CurveEntry, iteration: number): boolean {
    const { epochs, spacing } = this.counting;
    if (epochs !== null || !isIter || given === null || given === 0) return false;
    return given < iteration || given > iteration + (spacing ?? 0);
  }
}
