import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Dataset } from '../data/dataset.js';
import type { EvaluationSample } from '../data/image.js';
import type { EvaluationLoader } from '../data/loader.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import { InterruptedError } from '../support/errors.js';
import { writeFileAtomic } from '../support/files.js';
import { formatNumber } from '../support/format.js';
import { inOrder } from '../support/in-order.js';
import { PATIENCE, pauses } from '../support/pauses.js';
import type { ImagePredictor } from './inference.js';
import type { Counted } from './position.js';
import { encodePrediction } from './prediction-png.js';
import { type EvaluationProgress, type EvaluationResult, EvaluationTally } from './tally.js';

export interface EvaluationSettings {
  /** Folder for predicted label images: palette PNGs, named after the images. */
  readonly predictions?: string | undefined;
  /** Write predictions as Cityscapes' label ids instead (see `requireLabelIds`). */
  readonly labelIds?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long an image may still take after an abort; a longer one is abandoned and repeated later. */
  readonly patienceMilliseconds?: number;
  readonly onProgress?: (progress: EvaluationProgress) => void;
}

export interface EvaluateSamplesOptions extends EvaluationSettings {
  readonly dataset: Pick<Dataset, 'name' | 'classes' | 'palette'>;
  readonly flip: boolean;
  /** Counts of the images before the first sample. */
  readonly previous?: Counted | null;
  /** Called after each image with the counts so far. */
  readonly onImage?: (counted: Counted) => Promise<void>;
  /** Called before an interruption ends the evaluation; the last counts are the ones to keep. */
  readonly onInterruption?: () => Promise<void>;
}

/** The classes of a sample's pixels; null on abort. @throws NonFiniteOutputError naming the image. */
export function predictSample(
  { name, height, width, views }: EvaluationSample,
  predictor: ImagePredictor,
  { flip, signal, patienceMilliseconds = PATIENCE }: EvaluateSamplesOptions,
) {
  const pause = pauses({ signal, message: 'Interrupted in the middle of an image.', patienceMilliseconds });
  return predictor.predict({ size: [height, width], views, flip }, pause).catch((error: unknown) => {
    if (error instanceof InterruptedError) return null;
    throw error instanceof NonFiniteOutputError ? error.forImage(name) : error;
  });
}

/**
 * Predicts each sample and compares it with its label.
 * @throws UserError if no pixel is labelled with a class, or the predictions cannot be written; NonFiniteOutputError naming the
 * image; InterruptedError on abort.
 */
export async function evaluateSamples(
  samples: AsyncIterable<EvaluationSample> & Pick<EvaluationLoader, 'length' | 'leftOut'>,
  predictor: ImagePredictor,
  options: EvaluateSamplesOptions,
): Promise<EvaluationResult> {
  const { dataset, signal, previous = null, onImage, onInterruption, onProgress } = options;
  const tally = new EvaluationTally(dataset, samples.length, previous);
  const interruption = async () => {
    await onInterruption?.();
    return interruptionAfter(tally, samples.length, signal);
  };
  if (signal?.aborted) throw await interruption();
  const predicted = inOrder(samples, predictor.atATime, async (sample) => {
    // Samples after this one may be read before it is counted.
    const leftOut = samples.leftOut.length;
    return { sample, prediction: await predictSample(sample, predictor, options), leftOut };
  });
  for await (const { sample, prediction, leftOut } of predicted) {
    if (prediction === null) throw await interruption();
    tally.confusion.add(prediction, sample.label);
    await writeSample(sample, prediction, options);
    tally.done++;
    onProgress?.(tally.progress);
    // Lets in signals, which predictions of small images do not.
    await setImmediate();
    await onImage?.(tally.counted(samples.leftOut.slice(0, leftOut)));
    if (signal?.aborted) throw await interruption();
  }
  return tally.result(samples.leftOut);
}

/** The error of an evaluation that was aborted. */
export function interruptionAfter(
  { done }: EvaluationTally,
  images: number,
  signal: AbortSignal | undefined,
): InterruptedError {
  return InterruptedError.of(signal, `Evaluation interrupted after ${done} of ${formatNumber(images, 'image')}.`);
}

/** Writes the prediction of a sample, if predictions are asked for. */
export async function writeSample(
  { name, height, width }: EvaluationSample,
  prediction: Uint8Array,
  { predictions, labelIds = false, dataset }: Pick<EvaluateSamplesOptions, 'predictions' | 'labelIds' | 'dataset'>,
): Promise<void> {
  if (predictions === undefined) return;
  const png = await encodePrediction(prediction, width, height, dataset, labelIds);
  await writeFileAtomic(path.join(predictions, `${name}.png`), png);
}
