import type { PublishedLog, PublishedTrainLine } from './read.js';

/** What a log says of an epoch's length, whatever its recipe says. */
export interface EpochLength {
  /** Epochs that were begun, from 1, and the iteration of the line that says so; of a resumed training, both since then. */
  readonly epochs: number;
  readonly iterations: number;
  /** Whether epochs and iterations are differences between lines of a training that was resumed. */
  readonly resumed: boolean;
  /** Iterations of an epoch: no fewer and no more. */
  readonly least: number;
  readonly most: number;
}

/** The images of a step that a log's epochs come to. */
export interface ImpliedBatch {
  /** Training images of the data set, as published. */
  readonly images: number;
  /** The whole number nearest to images / iterations of an epoch; null where no whole number fits. */
  readonly batch: number | null;
  /** images / iterations of an epoch, in the middle of what the log allows. */
  readonly estimate: number;
  /** Every batch strictly between these two fits. */
  readonly above: number;
  readonly below: number;
}

/** Of fewer epochs, what is left of the last one decides too much. */
const FEWEST_EPOCHS = 4;

/** Stretches of lines in which neither iteration nor epoch goes back: one for each start of the training. */
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
 * Iterations of an epoch, by where the epoch's number rises.
 *
 * Line i (from 1) of epoch E (from 1) says E − 1 ≤ (i − 1) / length < E. A training that was resumed counts its epochs from 1 again:
 * then only the difference of its last and first line says something, ± 1 epoch.
 * @returns Null where the log has no epochs, or too few.
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
  // Some count epochs from 0.
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
  // Where the lines contradict each other, the last one alone says the most.
  const [low, high] = least <= most ? [least, most] : bounds(last);
  return { epochs: last.epoch! + shift, iterations: last.iteration, resumed, least: low, most: high };
}

/**
 * The images of a step: those of the data set over the iterations of an epoch. These are a whole number, rounded up or down
 * where the last step of an epoch is not full: so one iteration more or less is allowed.
 * @param images Training images of the data set.
 */
export function impliedBatch({ least, most }: EpochLength, images: number): ImpliedBatch {
  const estimate = (2 * images) / (least + most);
  const above = images / (most + 1);
  const below = least > 1 ? images / (least - 1) : Number.POSITIVE_INFINITY;
  const [first, last] = [Math.floor(above) + 1, Math.ceil(below) - 1];
  const batch = first > last ? null : Math.min(Math.max(Math.round(estimate), first), last);
  return { images, batch, estimate, above, below };
}
