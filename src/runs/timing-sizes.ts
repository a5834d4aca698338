import type { Engine } from '../engines/engine.js';
import { inferenceMemory } from '../evaluation/inference-memory.js';
import { countWindows } from '../evaluation/windows.js';
import { benchmarkSize, inferenceFlops } from '../measurement/network-cost.js';
import { complexity } from '../network/complexity.js';
import type { Experiment } from '../recipe/experiment.js';
import { trainingMemory } from '../training/step.js';

export type TimedKind = 'training' | 'inference';

/** A training step, or inference of an image, that may be timed. */
export interface Candidate {
  readonly sizeHw: readonly [height: number, width: number];
  readonly batch: number;
  /** Floating-point operations of its convolutions. */
  readonly flops: number;
}

/** Sides of the squares on which networks are timed whose own step takes too long; 8 k + 1 suits every network. */
const SIDES = [17, 33, 65, 129, 257, 513] as const;

/** Classes are rounded up to a multiple of this where a smaller input is timed anyway. */
const CLASSES = 8;

/**
 * The network as it is timed on small squares. What hardly changes the time is the same for all, so that rows share a measurement:
 * how logits are resized, windows (a small image is one), and some classes more.
 */
export function forSmallInputs(experiment: Experiment): Experiment {
  const { model, evaluation } = experiment;
  const classes = CLASSES * Math.ceil(model.classes / CLASSES);
  return {
    ...experiment,
    model: { ...model, classes, alignCorners: false },
    evaluation: { ...evaluation, mode: 'whole', cropHw: null, strideHw: null },
  };
}

/** The recipe's own step or image. */
export function ownCandidate(kind: TimedKind, experiment: Experiment): Candidate {
  const { data, training, evaluation } = experiment;
  return kind === 'training'
    ? candidateOf(kind, experiment, data.cropHw, training.batch)
    : candidateOf(kind, experiment, benchmarkSize(evaluation), 1);
}

/** Operations of one pass through the network at the recipe's own size: a step of its batch, or a window. */
export function flopsOfPass(kind: TimedKind, experiment: Experiment): number {
  const { model, data, training, evaluation } = experiment;
  if (kind === 'training') return training.batch * complexity(model, data.cropHw).trainingFlops;
  return complexity(model, countWindows(evaluation, benchmarkSize(evaluation)).size).flops;
}

/**
 * Pairs of squares, one of about twice the side of the other, from small to large, with fewer operations than `flops`.
 * @param small As `forSmallInputs` made it.
 */
export function smallPairs(kind: TimedKind, small: Experiment, flops: number): (readonly [Candidate, Candidate])[] {
  const candidates = SIDES.map((side) => candidateOf(kind, small, [side, side], 1)).filter((one) => one.flops < flops);
  return candidates.slice(1).map((larger, i) => [candidates[i]!, larger] as const);
}

function candidateOf(kind: TimedKind, experiment: Experiment, sizeHw: Candidate['sizeHw'], batch: number): Candidate {
  const flops =
    kind === 'training'
      ? batch * complexity(experiment.model, sizeHw).trainingFlops
      : inferenceFlops(experiment, sizeHw);
  return { sizeHw, batch, flops };
}

/** Memory that a candidate of the experiment takes, in bytes. */
export async function memoryOf(
  kind: TimedKind,
  experiment: Experiment,
  { sizeHw, batch }: Candidate,
  engine: Engine,
): Promise<number> {
  const { peakBytes, residentBytes } =
    kind === 'training'
      ? await trainingMemory(engine, experiment, sizeHw, batch)
      : await inferenceMemory(engine, { experiment, size: sizeHw, views: [sizeHw], flip: false });
  return residentBytes ?? peakBytes;
}
