import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Dataset } from '../data/dataset.js';
import { loadDataset } from '../data/description.js';
import { type EvaluationSample, IGNORE_INDEX } from '../data/image.js';
import { createEvaluationLoader, type EvaluationLoader } from '../data/loader.js';
import type { SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import type { LoadSummary } from '../network/load.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import type { Experiment } from '../recipe/experiment.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { sha256File, writeFileAtomic } from '../support/files.js';
import { formatNumber } from '../support/format.js';
import { inOrder } from '../support/in-order.js';
import { writeSealed } from '../support/json.js';
import { PATIENCE, pauses } from '../support/pauses.js';
import { weightsIdentity } from '../weights/load.js';
import { ConfusionMatrix, metrics, type OutsideCounts } from './confusion.js';
import type { ImagePredictor } from './inference.js';
import { openPredictor } from './open-predictor.js';
import {
  type Counted,
  type EvaluationInputs,
  type EvaluationPosition,
  holdsPredictions,
  readPosition,
} from './position.js';
import { encodePrediction } from './prediction-png.js';

interface EvaluationSettings {
  /** Folder for predicted label images: palette PNGs, named after the images. */
  readonly predictions?: string | undefined;
  /** Write predictions as Cityscapes' label ids instead (see `requireLabelIds`). */
  readonly labelIds?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long an image may still take after an abort; a longer one is abandoned and repeated later. */
  readonly patienceMilliseconds?: number;
  readonly onProgress?: (progress: EvaluationProgress) => void;
}

export interface EvaluateOptions extends EvaluationSettings {
  /** Counts unreadable images, which are left out; default: such an image is an error. */
  readonly skipped?: SkippedSamples | undefined;
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** File of the weights. */
  readonly weights: string;
  /** One of the file's dictionaries of tensors; default: the only one. */
  readonly weightsKey?: string | undefined;
  /** All of the recipe's ratios, each also mirrored; otherwise ratio 1 alone. */
  readonly multiScale: boolean;
  /** Threads that predict, each with an engine, if the engine uses one thread; default: 1, this one. No figure depends on it. */
  readonly threads?: number | undefined;
  /** The position is saved to this file at least this often; the evaluation resumes from it if it exists. */
  readonly position?: { readonly file: string; readonly everySeconds: number } | undefined;
  /** Called before the position is saved; if it throws, the evaluation ends. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
  readonly saveRequested?: (() => boolean) | undefined;
  /** Gets the report on how the weights fit the network, before the first image. */
  readonly onLoad?: ((report: LoadSummary) => void) | undefined;
  /** Gets messages about where the evaluation resumes. */
  readonly note?: ((text: string) => void) | undefined;
}

export interface EvaluationProgress {
  readonly done: number;
  readonly total: number;
  /** Mean of this process's images, data loading included. */
  readonly secondsPerImage: number;
  /** Of the images so far, as a fraction; null if none of their pixels is labelled with a class. */
  readonly mIoU: number | null;
}

/** Figures are fractions (0–1). */
interface EvaluationResult {
  readonly images: number;
  /** Names of unreadable images, which were left out. */
  readonly skippedImages: readonly string[];
  /** Images of the split, up to the recipe's limit. */
  readonly splitImages: number;
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  /** IoU is null for a class neither labelled nor predicted, accuracy for one not labelled. */
  readonly perClass: { name: string; iou: number | null; accuracy: number | null }[];
  /** Pixels, [label][prediction]. */
  readonly confusion: number[][];
  /** Counts that the classes' areas contain but the matrix leaves out; absent if all are 0. */
  readonly outside?: OutsideCounts;
  readonly seconds: number;
}

/** The figures, and how the weights fit the network: an auxiliary head that does not fit is left out. */
export interface Evaluation extends EvaluationResult {
  /** Threads that predicted, each with an engine; absent if the engine of the main thread did. */
  readonly threads?: number;
  readonly loadReport: LoadSummary;
}

/**
 * The description of the data set whose classes a row predicts.
 * @throws UserError if the network has another number of classes.
 */
export async function predictedDataset({ row, model, data }: Experiment): Promise<Dataset> {
  const dataset = await loadDataset(data.dataset);
  if (dataset.classes.length === model.classes) return dataset;
  throw new UserError(
    `${row} has ${model.classes} classes (model.classes), but its data set ${dataset.id} has ${dataset.classes.length}.`,
    'Give the row a data set with as many classes.',
  );
}

/**
 * Evaluates weights on a row's validation split.
 * @throws UserError if the data or the weights are missing, damaged or of another row, or the predictions cannot be written;
 * InterruptedError on abort, after saving the position.
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { experiment, engine, dataRoot, weights, weightsKey, multiScale, skipped, predictions, note } = options;
  const { threads = 1 } = options;
  const { evaluation: recipe } = experiment;
  const dataset = await predictedDataset(experiment);
  const ratios = multiScale ? recipe.ratios : [1];
  const viewsOfImage = ratios.length * (multiScale ? 2 : 1);
  const opened = await openPredictor({ engine, experiment, weights, weightsKey, copies: threads, viewsOfImage });
  const { predictor, loadReport } = opened;
  try {
    options.onLoad?.(loadReport);
    const { file, everySeconds = 0 } = options.position ?? {};
    const folder = predictions === undefined ? null : path.resolve(predictions);
    const inputs: EvaluationInputs = {
      weights: file === undefined ? '' : weightsIdentity(await sha256File(weights), weightsKey),
      predictions: folder,
      labelIds: options.labelIds ?? false,
    };
    const saved = file === undefined ? null : await readPosition(file, dataset.classes.length, inputs);
    const isLost = saved !== null && saved.done > 0 && folder !== null && !(await holdsPredictions(folder));
    if (isLost) note?.(`The evaluation starts again: its predictions are no longer in ${folder}.`);
    const previous = isLost ? null : saved;
    const { limit } = recipe;
    const start = previous?.position ?? 0;
    const samples = await createEvaluationLoader({ dataset, recipe, dataRoot, ratios, limit, start, skipped });
    if (previous !== null) note?.(`The evaluation resumes after image ${start} of ${samples.length}.`);
    try {
      if (folder !== null) requireDistinct(samples.names, folder);
      let savedAt = performance.now();
      let position: EvaluationPosition | null = null;
      const savePosition = async () => {
        if (file === undefined || position === null) return;
        await options.beforeWrite?.();
        await writeSealed(file, position);
        savedAt = performance.now();
      };
      const onImage = async (counted: Counted) => {
        position = { ...counted, ...inputs, position: counted.done + counted.skippedImages.length };
        const isDue = performance.now() - savedAt >= everySeconds * 1000;
        if (options.saveRequested?.() === true || isDue) await savePosition();
      };
      const settings = { ...options, dataset, flip: multiScale, previous, onImage, onInterruption: savePosition };
      const result = await evaluateSamples(samples, predictor, settings);
      return { ...result, ...(threads > 1 && { threads }), loadReport };
    } finally {
      await samples.close();
    }
  } finally {
    await opened.close();
  }
}

/** @throws UserError if two images would have the same file of predictions. */
function requireDistinct(names: readonly string[], folder: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new UserError(
        `The predictions of two images would both be written to ${path.join(folder, `${name}.png`)}.`,
        'Rename one of the images: to write predictions, all images of a split need different names.',
      );
    }
    seen.add(name);
  }
}

const figure = (value: number) => (Number.isNaN(value) ? null : value);

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
function predictSample(
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
  const { dataset, predictions, labelIds = false, signal, previous, onImage, onInterruption, onProgress } = options;
  const start = performance.now();
  const secondsHere = () => (performance.now() - start) / 1000;
  const seconds = () => (previous?.seconds ?? 0) + secondsHere();
  const confusion = new ConfusionMatrix(dataset.classes.length, IGNORE_INDEX);
  if (previous) confusion.restore(previous.counts);
  const doneBefore = previous?.done ?? 0;
  let done = doneBefore;
  const skippedImages = (count = samples.leftOut.length) => [
    ...(previous?.skippedImages ?? []),
    ...samples.leftOut.slice(0, count),
  ];
  const interruption = async () => {
    await onInterruption?.();
    return InterruptedError.of(
      signal,
      `Evaluation interrupted after ${done} of ${formatNumber(samples.length, 'image')}.`,
    );
  };
  if (signal?.aborted) throw await interruption();
  const predicted = inOrder(samples, predictor.atATime, async (sample) => {
    // Samples after this one may be read before it is counted.
    const leftOut = samples.leftOut.length;
    return { ...sample, prediction: await predictSample(sample, predictor, options), leftOut };
  });
  for await (const { name, height, width, label, prediction, leftOut } of predicted) {
    if (prediction === null) throw await interruption();
    confusion.add(prediction, label);
    if (predictions !== undefined) {
      const png = await encodePrediction(prediction, width, height, dataset, labelIds);
      await writeFileAtomic(path.join(predictions, `${name}.png`), png);
    }
    done++;
    const secondsPerImage = secondsHere() / (done - doneBefore);
    onProgress?.({ done, total: samples.length, secondsPerImage, mIoU: figure(metrics(confusion).mIoU) });
    // Lets in signals, which predictions of small images do not.
    await setImmediate();
    await onImage?.({ done, counts: confusion.toCounts(), seconds: seconds(), skippedImages: skippedImages(leftOut) });
    if (signal?.aborted) throw await interruption();
  }
  const { mIoU, mAcc, aAcc, iou, accuracy } = metrics(confusion);
  const outside = confusion.outside();
  if (Number.isNaN(aAcc)) {
    throw new UserError(
      `No pixel of the ${done} validation images of ${dataset.name} is labelled with a class: there is nothing to measure.`,
      'Check the labels of the validation split.',
    );
  }
  return {
    images: done,
    skippedImages: skippedImages(),
    splitImages: samples.length,
    mIoU,
    mAcc,
    aAcc,
    perClass: dataset.classes.map((name, k) => ({ name, iou: figure(iou[k]!), accuracy: figure(accuracy[k]!) })),
    confusion: confusion.toRows(),
    ...(outside !== null && { outside }),
    seconds: seconds(),
  };
}
