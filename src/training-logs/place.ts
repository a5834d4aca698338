import type { LogEntry, PlacedEntry, RawFigures, RawTraining } from './lines.js';

interface PlacedTraining extends RawTraining {
  readonly line: number;
  /** Of the whole training, from 1. */
  readonly iteration: number;
  readonly epoch: number | null;
}

interface PlacedEvaluation {
  readonly line: number;
  readonly iteration: number;
  readonly figures: RawFigures;
  /** What the line says as `iter` where that is no iteration: how many validation images or batches there were. */
  readonly counted: number | null;
}

/** Lines that share a reason, by their numbers from 1. */
export interface LineGroup {
  readonly reason: string;
  readonly lines: readonly number[];
}

/** Of a log whose iterations begin again in each epoch. */
export interface Epochs {
  /** What places the lines. */
  readonly iterationsPerEpoch: number;
  /** The last iterations of an epoch need not be logged: it may have so many. */
  readonly most: number;
}

interface Placement {
  readonly train: readonly PlacedTraining[];
  /** By iteration, at most one of each. */
  readonly evaluations: readonly PlacedEvaluation[];
  /** Lines that could not be placed. */
  readonly dropped: readonly LineGroup[];
  /** Lines of iterations that the training did again later. */
  readonly replaced: readonly LineGroup[];
  /** Lines that are understood and belong to no curve. */
  readonly unused: readonly LineGroup[];
  /** Null where iterations are counted through the whole training. */
  readonly epochs: Epochs | null;
}

/** Lines by reason, in the order in which the reasons came up. */
export class LineGroups {
  private readonly found = new Map<string, number[]>();

  add(reason: string, lines: readonly number[]): void {
    const there = this.found.get(reason);
    if (there === undefined) this.found.set(reason, [...lines]);
    // No spread: a log may have more lines than a call takes arguments.
    else for (const line of lines) there.push(line);
  }

  list(): LineGroup[] {
    return [...this.found].map(([reason, lines]) => ({ reason, lines }));
  }
}

type UnplacedEntry = Extract<LogEntry, { readonly reason: string }>;

const isUnplaced = (entry: LogEntry): entry is UnplacedEntry => 'reason' in entry;

/** The most frequent of some numbers, the smaller of two that are equally frequent; null of none. */
function mostFrequent(values: readonly number[]): number | null {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const best = [...counts].sort(([a, n], [b, m]) => m - n || a - b)[0];
  return best?.[0] ?? null;
}

/** Iterations between two lines of the training. */
function spacingOf(lines: readonly PlacedEntry[]): number | null {
  const said = lines.flatMap(({ iteration }) => iteration ?? []);
  const steps = said.slice(1).map((iteration, i) => iteration - said[i]!);
  return mostFrequent(steps.filter((step) => step > 0)) ?? said[0] ?? null;
}

/**
 * Whether iterations begin again in each epoch: where the epoch rises, the iteration does not. In a training that went back to a
 * checkpoint the epoch does not rise.
 */
function epochsOf(train: readonly PlacedEntry[], evaluations: readonly PlacedEntry[]): Epochs | null {
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
  // A remainder was logged: then it is the end of the epoch.
  if (last % spacing !== 0) return { iterationsPerEpoch: last, most: last };
  // Earlier versions wrote the last iteration of the epoch into the evaluation's line.
  const said = new Set(evaluations.map(({ iteration }) => iteration));
  const [end] = said;
  if (said.size === 1 && end !== null && end! >= last && end! < last + spacing) {
    return { iterationsPerEpoch: end!, most: end! };
  }
  return { iterationsPerEpoch: last, most: last + spacing - 1 };
}

/** Whether what evaluations say as `iter` are iterations of the training: these rise, while numbers of images do not. */
function sayIterations(evaluations: readonly PlacedEntry[]): boolean {
  const said = evaluations.flatMap(({ iteration }) => iteration ?? []);
  const rises = said.filter((iteration, i) => i > 0 && iteration > said[i - 1]!).length;
  return said.length === 1 || rises > said.length - 1 - rises;
}

/**
 * Places the lines of a log in its training.
 *
 * A line of the training that goes back, with what follows it, replaces what had been logged from there on: a checkpoint was
 * resumed. One that goes back alone is out of order. An evaluation belongs to the iteration that it says, where that lies between the
 * lines of the training around it, and else to the last line of the training.
 */
export function place(entries: readonly LogEntry[]): Placement {
  const placed = entries.filter((entry): entry is PlacedEntry => entry.kind !== 'header' && !isUnplaced(entry));
  const training = placed.filter(({ kind }) => kind === 'train');
  const evaluated = placed.filter(({ kind }) => kind !== 'train');
  const epochs = epochsOf(training, evaluated);
  const iterations = epochs === null && sayIterations(evaluated);
  // Where every line of the training was logged with an evaluation, these alone say how far they are apart.
  const spacing = spacingOf(training) ?? (iterations ? spacingOf(evaluated) : null);
  // Some count epochs from 0.
  const firstEpoch = training.some(({ epoch }) => epoch === 0) ? 0 : 1;
  const single = evaluated.length === 1;

  const train: PlacedTraining[] = [];
  const evaluations: PlacedEvaluation[] = [];
  const dropped = new LineGroups();
  const replaced = new LineGroups();
  const unused = new LineGroups();

  const globalOf = ({ iteration, epoch }: PlacedEntry): number | null =>
    epochs === null ? iteration : epoch === null ? null : (epoch - firstEpoch) * epochs.iterationsPerEpoch + iteration!;

  const add = (entry: PlacedEntry, iteration: number) => {
    const last = train.at(-1)?.iteration ?? Number.NEGATIVE_INFINITY;
    if (iteration <= last) {
      const lines: number[] = [];
      while (train.length > 0 && train.at(-1)!.iteration >= iteration) lines.push(train.pop()!.line);
      while (evaluations.length > 0 && evaluations.at(-1)!.iteration >= iteration) lines.push(evaluations.pop()!.line);
      lines.sort((a, b) => a - b);
      const reason =
        iteration === last
          ? 'iterations that were logged again in the next line'
          : `the training went back to iteration ${iteration} in line ${entry.line}`;
      replaced.add(reason, lines);
    }
    train.push({ line: entry.line, iteration, epoch: entry.epoch, ...entry.training! });
  };

  /** The next line of the training after each entry, unless the training begins anew before it. */
  const following: (PlacedEntry | null)[] = [];
  for (let i = entries.length - 1, next: PlacedEntry | null = null; i >= 0; i--) {
    following[i] = next;
    const entry = entries[i]!;
    if (entry.kind === 'header') next = null;
    else if (entry.kind === 'train') next = entry;
  }

  /** Where training values that were logged with an evaluation belong; null where no iteration is free. */
  const freeIteration = (entry: PlacedEntry, next: number | null): number | null => {
    const last = train.at(-1)?.iteration ?? null;
    const said = entry.iteration;
    if (epochs !== null || spacing === null) return null;
    if (last === null) return next === null ? said : next - spacing > 0 ? next - spacing : null;
    if (iterations && said !== null && said > last && said <= last + spacing && (next === null || said < next))
      return said;
    return next === null || next > last + spacing ? last + spacing : null;
  };

  const evaluationIteration = (entry: PlacedEntry, next: PlacedEntry | null): number | null => {
    const last = train.at(-1);
    const said = entry.iteration;
    const after = next === null ? null : globalOf(next);
    if (last === undefined) {
      if (said !== null && (after === null || said < after)) return said;
      return after === null ? null : Math.max(0, after - (spacing ?? 0));
    }
    if (epochs !== null) {
      // After the last line that was logged of an epoch come iterations that were not.
      const ends = last.epoch !== null && (next === null || (next.epoch ?? 0) > last.epoch);
      return ends ? (last.epoch! + 1 - firstEpoch) * epochs.iterationsPerEpoch : last.iteration;
    }
    const limit = last.iteration + (spacing ?? 0);
    const fits =
      iterations &&
      said !== null &&
      said > last.iteration &&
      (single
        ? said === limit && (after === null || after > said)
        : after === null || after <= last.iteration
          ? said <= limit
          : said <= after);
    return fits ? said : last.iteration;
  };

  /** Whether what an evaluation says can be no iteration of where it stands. */
  const isCount = ({ iteration: said, isIter }: PlacedEntry, iteration: number) =>
    epochs === null && isIter && said !== null && said > 0 && (said < iteration || said > iteration + (spacing ?? 0));

  for (const [index, entry] of entries.entries()) {
    if (entry.kind === 'header') continue;
    if (isUnplaced(entry)) {
      (entry.kind === 'unused' ? unused : dropped).add(entry.reason, [entry.line]);
      continue;
    }
    const next = following[index]!;
    const nextIteration = next === null ? null : globalOf(next);
    if (entry.kind === 'train') {
      const iteration = globalOf(entry);
      const last = train.at(-1)?.iteration ?? null;
      const resumes = entries[index - 1]?.kind === 'header';
      if (iteration === null) dropped.add('a loss without an epoch, in a log by epoch', [entry.line]);
      else if (!resumes && last !== null && iteration < last && nextIteration !== null && nextIteration > last) {
        dropped.add('an iteration out of order, between two others', [entry.line]);
      } else add(entry, iteration);
      continue;
    }
    if (entry.kind === 'mixed') {
      const iteration = freeIteration(entry, nextIteration);
      if (iteration === null) {
        dropped.add('a loss within the line of an evaluation, with no iteration left for it', [entry.line]);
      } else add(entry, iteration);
    }
    const iteration = evaluationIteration(entry, next);
    if (iteration === null) {
      dropped.add('an evaluation without an iteration', [entry.line]);
      continue;
    }
    const lines: number[] = [];
    while (evaluations.length > 0 && evaluations.at(-1)!.iteration >= iteration) lines.push(evaluations.pop()!.line);
    if (lines.length > 0) replaced.add('evaluations that were done again at the same iteration', lines.reverse());
    evaluations.push({
      line: entry.line,
      iteration,
      figures: entry.figures!,
      counted: isCount(entry, iteration) ? entry.iteration : null,
    });
  }
  return {
    train,
    evaluations,
    dropped: dropped.list(),
    replaced: replaced.list(),
    unused: unused.list(),
    epochs,
  };
}
