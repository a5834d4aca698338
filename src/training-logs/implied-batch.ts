import type { PublishedTrainLine } from './place.js';
import type { PublishedLog } from './read.js';

/** The length of an epoch, as the lines of a log show it. */
export interface EpochLength {
  /** Epochs that were begun, and the iteration of the last line. In a resumed training: both since it was resumed. */
  readonly epochs: number;
  readonly iterations: number;
  /** Whether the training was resumed: epochs and iterations are differences between two lines. */
  readonly resumed: boolean;
  /** Bounds of the iterations of an epoch. */
  readonly least: number;
  readonly most: number;
}

/** The images of a step, as a log's epochs imply them. */
export interface ImpliedBatch {
  /** Training images of the data set, as published. */
  readonly images: number;
  /** The whole number nearest to images / iterations of an epoch; null if no whole number fits. */
  readonly batch: number | null;
  /** images / iterations of an epoch, in the middle of what the log allows. */
  readonly estimate: number;
  /** Every batch strictly between these two fits. */
  readonly above: number;
  readonly below: number;
}

/** With fewer epochs, the unfinished last one matters too much. */
const FEWEST_EPOCHS = 4;

/** Lines of each start of the training: epochs do not go back within one. */
function stretches(lines: readonly PublishedTrainLine[]): PublishedTrainLine[][] {
  const found: PublishedTrainLine[][] = [];
  for (const line of lines) {
    if (line.epoch === null) continue;
    const before = found.at(-1)?.at(-1);
    if (before === undefined || line.epoch < before.epoch!) found.push([line]);
    else found.at(-1)!.push(line);
  }
  return found;
}

const epochsIn = (lines: readonly PublishedTrainLine[]) => lines.at(-1)!.epoch! - lines[0]!.epoch!;

/**
 * Iterations of an epoch, from where the number of the epoch rises.
 *
 * A line of iteration i (from 1) in epoch E (from 1) means E − 1 ≤ (i − 1) / length < E. A resumed training counts its epochs from 1
 * again: then only the difference between its last and first line counts, ± 1 epoch.
 * @returns Null if the log has no epochs, or too few.
 */
export function epochLength({ train, reading }: PublishedLog): EpochLength | null {
  if (reading.epochs !== null) {
    const { iterationsPerEpoch, most } = reading.epochs;
    const last = train.at(-1)!;
    const first = train[0]!.epoch === 0 ? 0 : 1;
    return {
      epochs: last.epoch! + 1 - first,
      iterations: last.iteration,
      resumed: false,
      least: iterationsPerEpoch,
      most,
    };
  }
  const longest = stretches(train).reduce<PublishedTrainLine[] | null>(
    (most, lines) => (most === null || epochsIn(lines) > epochsIn(most) ? lines : most),
    null,
  );
  if (longest === null) return null;
  const [first, last] = [longest[0]!, longest.at(-1)!];
  const spacing = longest[1] === undefined ? first.iteration : longest[1].iteration - first.iteration;
  const resumed = first.iteration > 2 * spacing;
  // Some logs count epochs from 0.
  const shift = first.epoch === 0 ? 1 : 0;
  if ((resumed ? epochsIn(longest) : last.epoch! + shift) < FEWEST_EPOCHS) return null;
  if (resumed) {
    const [epochs, iterations] = [epochsIn(longest), last.iteration - first.iteration];
    return { epochs, iterations, resumed, least: iterations / (epochs + 1), most: iterations / (epochs - 1) };
  }
  const bounds = ({ iteration, epoch }: PublishedTrainLine): [number, number] => {
    const [done, number] = [iteration - 1, epoch! + shift];
    return [done / number, number === 1 ? Number.POSITIVE_INFINITY : done / (number - 1)];
  };
  const all = longest.map(bounds);
  const least = all.reduce((most, [low]) => Math.max(most, low), 0);
  const most = all.reduce((fewest, [, high]) => Math.min(fewest, high), Number.POSITIVE_INFINITY);
  // If the lines contradict each other, the last one alone is the most exact.
  const [low, high] = least <= most ? [least, most] : bounds(last);
  return { epochs: last.epoch! + shift, iterations: last.iteration, resumed, least: low, most: high };
}

/**
 * The images of a step: the data set's training images divided by the iterations of an epoch. The iterations were rounded up or
 * down if the last step of an epoch is not full, so one more or less is allowed.
 */
export function impliedBatch({ least, most }: EpochLength, images: number): ImpliedBatch {
  const estimate = (2 * images) / (least + most);
  const above = images / (most + 1);
  const below = least > 1 ? images / (least - 1) : Number.POSITIVE_INFINITY;
  const [first, last] = [Math.floor(above) + 1, Math.ceil(below) - 1];
  const batch = first > last ? null : Math.min(Math.max(Math.round(estimate), first), last);
  return { images, batch, estimate, above, below };
}
