import type { Dataset } from '../data/dataset.js';
import type { Size } from '../data/image.js';
import type { ImageLoader } from '../data/loader.js';
import type { PredictionSample } from '../data/workers/prediction-worker.js';
import { ConfusionMatrix, describeCoverage, metrics } from '../evaluation/confusion.js';
import type { ImagePredictor } from '../evaluation/inference.js';
import type { SparseCounts } from '../evaluation/shared-evaluation.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import type { Experiment } from '../recipe/experiment.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { inOrder } from '../support/in-order.js';
import { type Pause, pauses } from '../support/pauses.js';
import { type PredictedClass, presentClasses } from './classes.js';
import { type Predicted, type PredictionFiles, writePrediction } from './output.js';
import { readTruth, type Source } from './sources.js';

/** An image's prediction. */
export interface Prediction {
  readonly file: string;
  readonly size: Size;
  readonly outputs: PredictionFiles;
  /** Most frequent first. */
  readonly classes: readonly PredictedClass[];
  /** Time from the network to the classes, without reading and writing. Several threads may compute other images in it. */
  readonly seconds: number;
  /** Fraction; null without a ground truth, or if none of it is labelled. */
  readonly mIoU: number | null;
}

/** A file that cannot be read. */
interface FailedImage {
  readonly file: string;
  readonly problem: UserError;
}

export interface PredictionTask {
  readonly source: Source;
  readonly truth: string | null;
  readonly outputs: PredictionFiles;
}

export interface PredictImagesOptions {
  readonly tasks: readonly PredictionTask[];
  /** Of the tasks' images, in order; it is closed at the end. */
  readonly loader: ImageLoader;
  readonly predictor: ImagePredictor;
  readonly dataset: Dataset;
  readonly flip: boolean;
  /** Opacity of the colours over the image, 0 to 1. */
  readonly opacity: number;
  /** Write label maps as Cityscapes' label ids. */
  readonly labelIds?: boolean;
  readonly signal: AbortSignal;
}

export interface PredictedImages {
  readonly images: readonly Prediction[];
  readonly failed: readonly FailedImage[];
  /** Over the pixels of all images, as a fraction; null if nothing was compared. */
  readonly mIoU: number | null;
  /** The classes that count in it; null if the ground truth contains all of them. */
  readonly coverage: string | null;
}

/** What became of an image. */
export type PredictionOutcome =
  | { readonly prediction: Prediction; readonly counts: SparseCounts }
  | { readonly problem: UserError };

/**
 * Predicts images and writes their files, one after the other. The result names the images that cannot be read.
 * @throws UserError if a file cannot be written; NonFiniteOutputError that names the image; InterruptedError on abort, before
 * anything of the current image is written.
 */
export async function predictImages(
  options: PredictImagesOptions & { readonly onProgress: (done: number, total: number) => void },
): Promise<PredictedImages> {
  const { tasks, dataset, onProgress } = options;
  const tally = new PredictionTally(dataset);
  let index = 0;
  for await (const outcome of predictionOutcomes(options)) {
    tally.add(tasks[index]!, outcome);
    onProgress(++index, tasks.length);
  }
  return tally.result();
}

/** Adds up the outcomes of images, in their order. */
export class PredictionTally {
  private readonly images: Prediction[] = [];
  private readonly failed: FailedImage[] = [];
  private readonly confusion: ConfusionMatrix;

  constructor(private readonly dataset: Dataset) {
    this.confusion = new ConfusionMatrix(dataset.classes.length);
  }

  add({ source }: PredictionTask, outcome: PredictionOutcome): void {
    if ('problem' in outcome) {
      this.failed.push({ file: source.file, problem: outcome.problem });
      return;
    }
    this.images.push(outcome.prediction);
    this.confusion.addSparse(outcome.counts);
  }

  result(): PredictedImages {
    const { images, failed, confusion, dataset } = this;
    return { images, failed, mIoU: mIoUOf(confusion), coverage: coverage(confusion, dataset) };
  }
}

/** The outcomes of the tasks, in their order; each is there when its files are written. Closes the loader. @throws as `predictImages`. */
export async function* predictionOutcomes(options: PredictImagesOptions): AsyncGenerator<PredictionOutcome> {
  const { tasks, loader, dataset, signal } = options;
  let read = 0;
  const predicted = inOrder(loader, options.predictor.atATime, async (loaded): Promise<PredictedSample | UserError> => {
    const message = interruption(read, tasks.length);
    if (signal.aborted) throw InterruptedError.of(signal, message);
    const task = tasks[read++]!;
    if ('problem' in loaded) return loaded.problem;
    const { sample } = loaded;
    const { file } = task.source;
    const truth =
      task.truth === null ? null : await readTruth(task.truth, dataset, file, sample.image).catch(userErrorAsValue);
    return truth instanceof UserError ? truth : predictOne(file, sample, truth, options, pauses({ signal, message }));
  });
  try {
    let index = 0;
    for await (const result of predicted) {
      const task = tasks[index++]!;
      yield result instanceof UserError ? { problem: result } : await writeOne(task, result, options);
    }
  } finally {
    await loader.close();
  }
}

export const interruption = (done: number, images: number) =>
  `Prediction interrupted after ${done} of ${formatNumber(images, 'image')}.`;

function userErrorAsValue(error: unknown): UserError {
  if (error instanceof UserError) return error;
  throw error;
}

/** An image with its prediction and its ground truth, if any. `seconds`: see `Prediction`. */
export type PredictedSample = Predicted & Pick<Prediction, 'seconds'>;

/** Predicts an image. @param file What errors call it. @throws NonFiniteOutputError that names the image; what `pause` throws. */
export async function predictOne(
  file: string,
  { image, views }: PredictionSample,
  truth: Uint8Array | null,
  { predictor, flip }: Pick<PredictImagesOptions, 'predictor' | 'flip'>,
  pause: Pause,
): Promise<PredictedSample> {
  const { height, width } = image;
  let start = performance.now();
  const onStart = () => {
    start = performance.now();
  };
  const toPredict = { size: [height, width], views, flip } as const;
  const prediction = await predictor.predict(toPredict, pause, onStart).catch((error: unknown) => {
    throw error instanceof NonFiniteOutputError ? error.forImage(file) : error;
  });
  return { image, prediction, truth, seconds: (performance.now() - start) / 1000 };
}

async function writeOne(
  { source, outputs }: PredictionTask,
  { image, prediction, truth, seconds }: PredictedSample,
  { dataset, opacity, labelIds = false }: PredictImagesOptions,
): Promise<PredictionOutcome> {
  const { height, width } = image;
  const own = new ConfusionMatrix(dataset.classes.length);
  if (truth !== null) own.add(prediction, truth);
  await writePrediction(outputs, { image, prediction, truth }, dataset, { opacity, labelIds });
  const classes = presentClasses(prediction, dataset.classes);
  return {
    prediction: { file: source.file, size: { height, width }, outputs, classes, seconds, mIoU: mIoUOf(own) },
    counts: own.toSparse(),
  };
}

function coverage(confusion: ConfusionMatrix, { classes }: Dataset): string | null {
  const { mIoU, iou, accuracy } = metrics(confusion);
  const known = (value: number) => (Number.isNaN(value) ? null : value);
  if (known(mIoU) === null) return null;
  return describeCoverage(classes.map((name, id) => ({ name, iou: known(iou[id]!), accuracy: known(accuracy[id]!) })));
}

function mIoUOf(confusion: ConfusionMatrix): number | null {
  const { mIoU } = metrics(confusion);
  return Number.isNaN(mIoU) ? null : mIoU;
}

/**
 * Overrides that make a recipe infer in windows; none if it already does. Windows are as large as the training crop and two thirds
 * of it apart, as in the published rows that slide (769 and 513, 480 and 320).
 */
export function slideOverrides({ evaluation, data }: Pick<Experiment, 'evaluation' | 'data'>): string[] {
  if (evaluation.mode === 'slide') return [];
  const stride = data.cropHw.map((side) => Math.max(1, Math.round((side * 2) / 3)));
  return [
    'evaluation.mode=slide',
    `evaluation.cropHw=${JSON.stringify(data.cropHw)}`,
    `evaluation.strideHw=${JSON.stringify(stride)}`,
  ];
}
