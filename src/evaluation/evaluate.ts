import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Dataset } from '../data/dataset.js';
import { loadDataset } from '../data/description.js';
import { type EvaluationSample, IGNORE_INDEX } from '../data/image.js';
import { createEvaluationLoader, type EvaluationLoader } from '../data/loader.js';
import type { SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import { createKernels } from '../kernels/create.js';
import { loadInferenceNetwork } from '../network/load.js';
import { summarise } from '../network/load-report.js';
import type { LoadSummary } from '../network/load-summary.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import type { Experiment } from '../recipe/experiment.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { sha256File, writeFileAtomic } from '../support/files.js';
import { formatNumber } from '../support/format.js';
import { PATIENCE, pauses } from '../support/pauses.js';
import { weightsIdentity } from '../weights/load.js';
import { ConfusionMatrix, metrics, type OutsideCounts } from './confusion.js';
import { Predictor } from './inference.js';
import { type Counted, type EvaluationPosition, holdsPredictions, readPosition, writePosition } from './position.js';
import { encodePrediction } from './rows.js';

interface EvaluationSettings {
  /** Folder for predicted label images, named as the images: palette PNGs. */
  readonly predictions?: string | undefined;
  /** Write predictions as Cityscapes' label ids instead: see `requireLabelIds`. */
  readonly labelIds?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long an image may still take after an abort; one that takes longer is given up, and done again. */
  readonly patienceMilliseconds?: number;
  readonly onProgress?: (progress: EvaluationProgress) => void;
}

export interface EvaluateOptions extends EvaluationSettings {
  /** Counts images that cannot be read, which are left out; where not given, such an image is an error. */
  readonly skipped?: SkippedSamples | undefined;
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** File of the weights. */
  readonly weights: string;
  /** Which of the file's dictionaries of tensors they are; the only one where not given. */
  readonly weightsKey?: string | undefined;
  /** All of the recipe's ratios, each also mirrored; otherwise ratio 1 alone. */
  readonly multiScale: boolean;
  /** File in which the position is noted at least every so many seconds, and gone on from where it is there. */
  readonly position?: { readonly file: string; readonly everySeconds: number } | undefined;
  /** Called before the position is noted; where it throws, the evaluation ends. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
  readonly saveRequested?: (() => boolean) | undefined;
  /** Told how the weights fit the network, before the first image. */
  readonly onLoad?: ((report: LoadSummary) => void) | undefined;
  /** Told from where the evaluation goes on. */
  readonly note?: ((text: string) => void) | undefined;
}

export interface EvaluationProgress {
  readonly done: number;
  readonly total: number;
  /** Mean of this process's images, data loading included. */
  readonly secondsPerImage: number;
  /** Of the images so far, as a fraction; null where none of their pixels carries a class. */
  readonly mIoU: number | null;
}

/** Figures are fractions (0–1). */
interface EvaluationResult {
  readonly images: number;
  /** Names of the images that could not be read and were left out. */
  readonly skippedImages: readonly string[];
  /** Images that there were to evaluate: of the split, as far as the recipe's limit. */
  readonly splitImages: number;
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  /** Null where nothing defines a figure: IoU of a class neither labelled nor predicted, accuracy of one not labelled. */
  readonly perClass: { name: string; iou: number | null; accuracy: number | null }[];
  /** Pixels, [label][prediction]. */
  readonly confusion: number[][];
  /** What the matrix leaves out and the classes' areas contain; absent where that is nothing. */
  readonly outside?: OutsideCounts;
  readonly seconds: number;
}

/** The figures, and how the weights fitted the network: an auxiliary head that does not is left out. */
export interface Evaluation extends EvaluationResult {
  readonly loadReport: LoadSummary;
}

/**
 * The description of the data set whose classes a row predicts.
 * @throws UserError where the network has another number of classes.
 */
export async function predictedDataset({ row, model, data }: Experiment): Promise<Dataset> {
  const dataset = await loadDataset(data.dataset);
  if (dataset.classes.length === model.classes) return dataset;
  throw new UserError(
    `${row} has ${model.classes} classes (model.classes), its data set ${dataset.id} ${dataset.classes.length}.`,
    'Give the row a data set with as many classes.',
  );
}

/**
 * Evaluates weights on a row's validation split.
 * @throws UserError when the data or the weights are missing, broken or not those of the row, or the predictions cannot be
 * written; InterruptedError on abort, once the position is noted.
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { experiment, engine, dataRoot, weights, weightsKey, multiScale, skipped, predictions, note } = options;
  const { labelIds = false } = options;
  const { model, training, evaluation: recipe } = experiment;
  const dataset = await predictedDataset(experiment);
  const kernels = createKernels(engine);
  const network = await loadInferenceNetwork(engine, kernels, model, weights, training.precision, weightsKey);
  const loadReport = summarise(network.report);
  options.onLoad?.(loadReport);
  try {
    const ratios = multiScale ? recipe.ratios : [1];
    const { file, everySeconds = 0 } = options.position ?? {};
    const folder = predictions === undefined ? null : path.resolve(predictions);
    const of = {
      weights: file === undefined ? '' : weightsIdentity(await sha256File(weights), weightsKey),
      predictions: folder,
      labelIds,
    };
    const noted = file === undefined ? null : await readPosition(file, dataset.classes.length, of);
    const isLost = noted !== null && noted.done > 0 && folder !== null && !(await holdsPredictions(folder));
    if (isLost) note?.(`The evaluation begins anew: its predictions are not in ${folder} any more.`);
    const begun = isLost ? null : noted;
    const { limit } = recipe;
    const start = begun?.position ?? 0;
    const samples = await createEvaluationLoader({ dataset, recipe, dataRoot, ratios, limit, start, skipped });
    if (begun !== null) note?.(`The evaluation goes on after image ${start} of ${samples.length}.`);
    try {
      if (folder !== null) requireDistinct(samples.names, folder);
      const predictor = new Predictor({ engine, kernels, network, recipe });
      let saved = performance.now();
      let position: EvaluationPosition | null = null;
      const notePosition = async () => {
        if (file === undefined || position === null) return;
        await options.beforeWrite?.();
        await writePosition(file, position);
        saved = performance.now();
      };
      const onImage = async (counted: Counted) => {
        position = { ...counted, ...of, position: samples.position };
        const due = performance.now() - saved >= everySeconds * 1000;
        if (options.saveRequested?.() === true || due) await notePosition();
      };
      const settings = { ...options, dataset, flip: multiScale, begun, onImage, onInterruption: notePosition };
      const result = await evaluateSamples(samples, predictor, settings);
      return { ...result, loadReport };
    } finally {
      await samples.close();
    }
  } finally {
    network.dispose();
  }
}

/** @throws UserError where two images would have the same file of predictions. */
function requireDistinct(names: readonly string[], folder: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new UserError(
        `The predictions of two images would both be written to ${path.join(folder, `${name}.png`)}.`,
        'Rename one of the images: the sources of a split may not have two of the same name if predictions are written.',
      );
    }
    seen.add(name);
  }
}

const figure = (value: number) => (Number.isNaN(value) ? null : value);

export interface EvaluateSamplesOptions extends EvaluationSettings {
  readonly dataset: Pick<Dataset, 'name' | 'classes' | 'palette'>;
  readonly flip: boolean;
  /** What was counted before the first sample. */
  readonly begun?: Counted | null;
  /** Told after each image what is counted so far. */
  readonly onImage?: (counted: Counted) => Promise<void>;
  /** Called before an interruption ends the evaluation; what was last counted is what counts. */
  readonly onInterruption?: () => Promise<void>;
}

/**
 * Predicts each sample and compares it with its label.
 * @throws UserError when no pixel carries a class, or the predictions cannot be written; NonFiniteOutputError that names the
 * image; InterruptedError on abort.
 */
export async function evaluateSamples(
  samples: AsyncIterable<EvaluationSample> & Pick<EvaluationLoader, 'length' | 'leftOut'>,
  predictor: Predictor,
  options: EvaluateSamplesOptions,
): Promise<EvaluationResult> {
  const { dataset, flip, predictions, labelIds = false, signal, begun, onImage, onInterruption, onProgress } = options;
  const { patienceMilliseconds = PATIENCE } = options;
  const start = performance.now();
  const here = () => (performance.now() - start) / 1000;
  const seconds = () => (begun?.seconds ?? 0) + here();
  const confusion = new ConfusionMatrix(dataset.classes.length, IGNORE_INDEX);
  if (begun) confusion.restore(begun.counts);
  const first = begun?.done ?? 0;
  let done = first;
  const skippedImages = () => [...(begun?.skippedImages ?? []), ...samples.leftOut];
  const interruption = async () => {
    await onInterruption?.();
    return InterruptedError.of(
      signal,
      `Evaluation interrupted after ${done} of ${formatNumber(samples.length, 'image')}.`,
    );
  };
  const pause = pauses({ signal, message: 'Interrupted in the middle of an image.', patienceMilliseconds });
  if (signal?.aborted) throw await interruption();
  for await (const { name, height, width, label, views } of samples) {
    let prediction: Uint8Array;
    try {
      prediction = await predictor.predict({ size: [height, width], views, flip }, pause);
    } catch (error) {
      if (error instanceof InterruptedError) throw await interruption();
      throw error instanceof NonFiniteOutputError ? error.of(name) : error;
    }
    confusion.add(prediction, label);
    if (predictions !== undefined) {
      const png = await encodePrediction(prediction, width, height, dataset, labelIds);
      await writeFileAtomic(path.join(predictions, `${name}.png`), png);
    }
    done++;
    onProgress?.({
      done,
      total: samples.length,
      secondsPerImage: here() / (done - first),
      mIoU: figure(metrics(confusion).mIoU),
    });
    // Of small images, signals are heard here only.
    await setImmediate();
    await onImage?.({ done, counts: confusion.toCounts(), seconds: seconds(), skippedImages: skippedImages() });
    if (signal?.aborted) throw await interruption();
  }
  const { mIoU, mAcc, aAcc, iou, accuracy } = metrics(confusion);
  const outside = confusion.outside();
  if (Number.isNaN(aAcc)) {
    throw new UserError(
      `No pixel of the ${done} validation images of ${dataset.name} carries a class: there is nothing to measure.`,
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
