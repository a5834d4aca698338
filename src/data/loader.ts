import type { DataRecipe, EvaluationRecipe } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import type { Dataset } from './dataset.js';
import type { Batch, EvaluationSample } from './image.js';
import { NO_TOLERANCE, type SkipCounter, type SkipTolerance } from './problem.js';
import { TrainingOrder } from './samples.js';
import { type Incomplete, readSplit, type SplitEntry } from './split.js';
import type { BatchArrays, BatchOptions, MadeBatch } from './training-samples.js';
import { largestViewsBytes } from './transforms/resize.js';
import type { EvaluationAnswer, EvaluationWorkerData } from './workers/evaluation-worker.js';
import { defaultWorkers, Prefetch, resultsAhead, WorkerPool } from './workers/pool.js';
import type { ImageTask, PredictionSample, PredictionWorkerData } from './workers/prediction-worker.js';
import type { TrainingTask } from './workers/training-worker.js';

const workerModule = (name: 'training' | 'evaluation' | 'prediction') =>
  new URL(`./workers/${name}-worker.js`, import.meta.url);

export interface TrainingLoaderOptions {
  readonly dataset: Dataset;
  readonly recipe: DataRecipe;
  readonly dataRoot: string;
  readonly seed: number;
  /** Images of a batch. */
  readonly batch: number;
  /** The images of each batch that are made: positions [first, first + count); default: all. */
  readonly part?: { readonly first: number; readonly count: number } | undefined;
  /** Iteration of the first batch that is returned, from 0. */
  readonly startIteration: number;
  /** Counts samples that cannot be read and are replaced by others; without it, such a sample is an error. */
  readonly skipped?: SkipCounter | undefined;
  /** Worker threads; default: `defaultWorkers()`. */
  readonly workers?: number;
  /** Batches made ahead of the reader; default: `resultsAhead`. */
  readonly prefetch?: number;
}

export interface TrainingLoader {
  /** Images in the split. */
  readonly images: number;
  /**
   * The batch of the next iteration. It does not depend on the number of workers, the prefetch or the start.
   * @throws UserError for a file that is missing, damaged or wrong; every later call throws it again.
   */
  next(): Promise<Batch>;
  /** Takes back the arrays of a batch, for a later one. They must not be read any more. */
  release(batch: Batch): void;
  /** Ends the worker threads. */
  close(): Promise<void>;
}

/** The split that training reads. */
const SPLIT = 'train';

/** @throws UserError if a batch has more images than the training split: no image is twice in a batch. */
export function assertBatchFits(dataset: Dataset, images: number, batch: number): void {
  if (images >= batch) return;
  throw new UserError(
    `The split "${SPLIT}" of ${dataset.name} has ${formatNumber(images, 'image')}, too few for a batch of ${batch}.`,
    'Use a smaller batch or a larger data set.',
  );
}

/**
 * Starts worker threads that make training batches ahead of the reader.
 * @throws UserError if the data set is missing or incomplete, or has fewer images than a batch.
 */
export async function createTrainingLoader(options: TrainingLoaderOptions): Promise<TrainingLoader> {
  const { dataset, recipe, dataRoot, seed, batch, startIteration, skipped } = options;
  const split = SPLIT;
  const tolerance = skipped?.toleranceOf(split) ?? NO_TOLERANCE;
  const entries = await readSplit(dataset, split, dataRoot, incompleteSamples(tolerance));
  assertBatchFits(dataset, entries.length, batch);
  const order = new TrainingOrder(seed, entries.length, batch);
  const [height, width] = recipe.cropHw;
  const workers = options.workers ?? defaultWorkers();
  // Four bytes for each of three colours and for the label.
  const { first, count } = options.part ?? { first: 0, count: batch };
  const ahead = options.prefetch ?? resultsAhead(workers, count * height * width * 16);
  const data: BatchOptions = { dataset, recipe, seed, first, replacements: { entries, tolerance } };
  const size = Math.min(workers, ahead);
  const pool = await WorkerPool.start<TrainingTask, MadeBatch>(workerModule('training'), size, data);
  const released: BatchArrays[] = [];
  const prefetch = new Prefetch((index) => {
    const iteration = startIteration + index;
    const used = released.pop();
    const transfer = used === undefined ? [] : [used.images.buffer as ArrayBuffer, used.labels.buffer as ArrayBuffer];
    const chosen = Array.from(order.at(iteration).subarray(first, first + count), (number) => entries[number]!);
    return pool.run({ iteration, entries: chosen, used }, transfer);
  }, ahead);
  const next = async () => {
    const { batch, bad } = await prefetch.next();
    for (const sample of bad) await skipped?.add({ split, ...sample });
    return batch;
  };
  const release = ({ images, labels }: Batch): void => {
    released.push({ images, labels });
  };
  return { images: entries.length, next, release, close: () => pool.close() };
}

/** If samples may be skipped, so may those that lack a file. They are counted when they are read. */
function incompleteSamples({ limit, known }: SkipTolerance): Incomplete {
  return limit > 0 || known.length > 0 ? 'kept' : 'refused';
}

interface EvaluationLoaderOptions {
  readonly dataset: Dataset;
  readonly recipe: EvaluationRecipe;
  readonly dataRoot: string;
  /** Multi-scale ratios, one for each view. */
  readonly ratios: readonly number[];
  /** Number of images, from the split's start; null: all. */
  readonly limit: number | null;
  /** Samples at the split's start that were done before; default: 0. */
  readonly start?: number;
  /** Only every `size`th of the samples, from number `rank` on: those of one process; default: all. */
  readonly share?: { readonly rank: number; readonly size: number } | undefined;
  /** Counts samples that cannot be read and are skipped; without it, such a sample is an error. */
  readonly skipped?: SkipCounter | undefined;
  readonly workers?: number;
}

export interface EvaluationLoader extends AsyncIterable<EvaluationSample> {
  /** Samples in one pass, including those that were done before or are skipped. */
  readonly length: number;
  /** Their names, in order; two sources of a split may have the same ones. */
  readonly names: readonly string[];
  /** Samples from the split's start on that are done: read, skipped, done before, or of another process. */
  readonly position: number;
  /** Names of the samples that this loader has skipped. */
  readonly leftOut: readonly string[];
  /** Ends the worker threads. */
  close(): Promise<void>;
}

/**
 * Starts worker threads that make the samples of a validation split ahead of the reader, in the split's order. Iterating
 * throws a UserError for a file that is missing, damaged or wrong.
 * @throws UserError if the data set is missing or incomplete.
 */
export async function createEvaluationLoader(options: EvaluationLoaderOptions): Promise<EvaluationLoader> {
  const { dataset, recipe, dataRoot, ratios, limit, start = 0, share = { rank: 0, size: 1 }, skipped } = options;
  const split = 'val';
  const tolerance = skipped?.toleranceOf(split) ?? NO_TOLERANCE;
  const entries = (await readSplit(dataset, split, dataRoot, incompleteSamples(tolerance))).slice(
    0,
    limit ?? undefined,
  );
  const workers = options.workers ?? defaultWorkers();
  const ahead = resultsAhead(workers, largestViewsBytes(recipe.imageScaleWh, ratios));
  const data: EvaluationWorkerData = { dataset, imageScaleWh: recipe.imageScaleWh, ratios, tolerance };
  const size = Math.min(workers, ahead);
  const pool = await WorkerPool.start<SplitEntry, EvaluationAnswer>(workerModule('evaluation'), size, data);
  let position = start;
  const leftOut: string[] = [];
  return {
    length: entries.length,
    names: entries.map(({ name }) => name),
    get position() {
      return position;
    },
    leftOut,
    async *[Symbol.asyncIterator]() {
      const remaining = Array.from(entries.keys()).filter((n) => n >= start && n % share.size === share.rank);
      const prefetch = new Prefetch((index) => pool.run(entries[remaining[index]!]!), ahead, remaining.length);
      for (const number of remaining) {
        const answer = await prefetch.next();
        position = number + 1;
        if ('reason' in answer) {
          await skipped?.add({ split, ...answer });
          leftOut.push(answer.name);
        } else yield answer;
      }
    },
    close: () => pool.close(),
  };
}

/** An image, or why it cannot be read. */
type LoadedImage = { readonly sample: PredictionSample } | { readonly problem: UserError };

/** Images in order; they can be read once. */
export interface ImageLoader extends AsyncIterable<LoadedImage> {
  /** Ends the worker threads. */
  close(): Promise<void>;
}

type ImagePool = WorkerPool<ImageTask, PredictionSample>;

/** Starts worker threads that read images without labels and make their views. */
function startImagePool({ imageScaleWh }: Pick<EvaluationRecipe, 'imageScaleWh'>, size: number): Promise<ImagePool> {
  const data: PredictionWorkerData = { imageScaleWh };
  return WorkerPool.start(workerModule('prediction'), size, data);
}

/** Starts worker threads that read images without labels and make their views ahead of the reader, in the files' order. */
export async function createImageLoader(
  files: readonly string[],
  recipe: Pick<EvaluationRecipe, 'imageScaleWh'>,
  ratios: readonly number[],
): Promise<ImageLoader> {
  const workers = defaultWorkers();
  const ahead = resultsAhead(workers, largestViewsBytes(recipe.imageScaleWh, ratios));
  const pool = await startImagePool(recipe, Math.min(workers, ahead, files.length));
  const load = (index: number): Promise<LoadedImage> =>
    pool.run({ name: files[index]!, bytes: null, ratios }).then(
      (sample) => ({ sample }),
      (error: unknown) => {
        if (error instanceof UserError) return { problem: error };
        throw error;
      },
    );
  // The first images are read at once.
  const prefetch = new Prefetch(load, ahead, files.length);
  return {
    async *[Symbol.asyncIterator]() {
      for (let read = 0; read < files.length; read++) yield await prefetch.next();
    },
    close: () => pool.close(),
  };
}

/** Reads encoded images one by one, in a thread of its own. */
export class ImageReader {
  private constructor(
    private readonly recipe: Pick<EvaluationRecipe, 'imageScaleWh'>,
    private pool: ImagePool,
  ) {}

  static async start(recipe: Pick<EvaluationRecipe, 'imageScaleWh'>): Promise<ImageReader> {
    return new ImageReader(recipe, await startImagePool(recipe, 1));
  }

  /**
   * An image as `createImageLoader` reads it from a file. An image that ends the thread, for lack of memory, is an error of this call only.
   * @throws UserError if it cannot be decoded.
   */
  async read(task: ImageTask): Promise<PredictionSample> {
    const { pool } = this;
    try {
      return await pool.run(task);
    } catch (error) {
      if (!(error instanceof UserError)) {
        await pool.close();
        this.pool = await startImagePool(this.recipe, 1);
      }
      throw error;
    }
  }

  /** Ends the thread. */
  close(): Promise<void> {
    return this.pool.close();
  }
}
