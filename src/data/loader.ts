import type { DataRecipe, EvaluationRecipe } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import type { Dataset } from './dataset.js';
import type { Batch, EvaluationSample } from './image.js';
import { NO_TOLERANCE, type SkippedSamples, type Tolerance } from './problem.js';
import { TrainingOrder } from './samples.js';
import { type Entry, type Incomplete, readSplit } from './split.js';
import type { MadeBatch } from './training-samples.js';
import { largestViewsBytes } from './transforms/resize.js';
import type { EvaluationAnswer, EvaluationWorkerData } from './workers/evaluation-worker.js';
import { defaultWorkers, Prefetch, resultsAhead, WorkerPool } from './workers/pool.js';
import type { PredictionSample, PredictionWorkerData } from './workers/prediction-worker.js';
import type { TrainingTask, TrainingWorkerData } from './workers/training-worker.js';

export interface TrainingLoaderOptions {
  readonly dataset: Dataset;
  /** "train" where not given. */
  readonly split?: string;
  readonly recipe: DataRecipe;
  readonly dataRoot: string;
  readonly seed: number;
  /** Images of a batch. */
  readonly batch: number;
  /** Iteration of the first batch that is returned, from 0. */
  readonly startIteration: number;
  /** Counts samples that cannot be read, in whose place others are drawn; where not given, such a sample is an error. */
  readonly skipped?: SkippedSamples | undefined;
  /** Worker threads; one less than there are cores, at most 8, where not given. */
  readonly workers?: number;
  /** Batches made ahead of the reader; one more than there are workers, as memory allows, where not given. */
  readonly prefetch?: number;
}

export interface TrainingLoader {
  /** Images in the split. */
  readonly images: number;
  /**
   * The batch of the next iteration. It is the same whatever the number of workers, the prefetch and the start.
   * @throws UserError for a file that is missing, damaged or wrong; after that every further call throws it again.
   */
  next(): Promise<Batch>;
  /** Ends the worker threads. */
  close(): Promise<void>;
}

/**
 * Starts worker threads that make training batches ahead of the reader.
 * @throws UserError where the data set is not there or not whole, or holds fewer images than a batch.
 */
export async function createTrainingLoader(options: TrainingLoaderOptions): Promise<TrainingLoader> {
  const { dataset, split = 'train', recipe, dataRoot, seed, batch, startIteration, skipped } = options;
  const tolerance = skipped?.toleranceOf(split) ?? NO_TOLERANCE;
  const entries = await readSplit(dataset, split, dataRoot, ofIncomplete(tolerance));
  if (entries.length < batch) {
    throw new UserError(
      `The split "${split}" of ${dataset.name} has ${formatNumber(entries.length, 'image')}, too few for a batch of ${batch}.`,
      'Use a smaller batch or a larger data set.',
    );
  }
  const order = new TrainingOrder(seed, entries.length, batch);
  const [height, width] = recipe.cropHw;
  // Four bytes for each of three colours and for the label.
  const bytes = batch * height * width * 16;
  const workers = options.workers ?? defaultWorkers();
  const ahead = options.prefetch ?? resultsAhead(workers, bytes);
  const data: TrainingWorkerData = { dataset, recipe, seed, replacements: { entries, tolerance } };
  const pool = await WorkerPool.start<TrainingTask, MadeBatch>(
    new URL('./workers/training-worker.js', import.meta.url),
    Math.min(workers, ahead),
    data,
  );
  const prefetch = new Prefetch((index) => {
    const iteration = startIteration + index;
    return pool.run({ iteration, entries: Array.from(order.at(iteration), (number) => entries[number]!) });
  }, ahead);
  const next = async () => {
    const { batch, bad } = await prefetch.next();
    for (const sample of bad) await skipped?.add({ split, ...sample });
    return batch;
  };
  return { images: entries.length, next, close: () => pool.close() };
}

/** Where samples may be left out, so may those that lack a file; they are counted as they are met. */
function ofIncomplete({ limit, known }: Tolerance): Incomplete {
  return limit > 0 || known.length > 0 ? 'kept' : 'refused';
}

interface EvaluationLoaderOptions {
  readonly dataset: Dataset;
  /** "val" where not given. */
  readonly split?: string;
  readonly recipe: EvaluationRecipe;
  readonly dataRoot: string;
  /** Multi-scale ratios: a view is made for each. */
  readonly ratios: readonly number[];
  /** First images only; null: all. */
  readonly limit: number | null;
  /** Samples at the split's start that are passed over; 0 where not given. */
  readonly start?: number;
  /** Counts samples that cannot be read, which are left out; where not given, such a sample is an error. */
  readonly skipped?: SkippedSamples | undefined;
  readonly workers?: number;
}

export interface EvaluationLoader extends AsyncIterable<EvaluationSample> {
  /** Samples in one pass, those that are passed over or will be left out included. */
  readonly length: number;
  /** Of those, in their order; two sources of a split may have the same ones. */
  readonly names: readonly string[];
  /** Samples from the split's start on that were read, passed over or left out so far. */
  readonly position: number;
  /** Names of the samples of this pass that were left out so far, those that were passed over not with them. */
  readonly leftOut: readonly string[];
  /** Ends the worker threads. */
  close(): Promise<void>;
}

/**
 * Starts worker threads that make the samples of a validation split ahead of the reader, in the split's order. Iterating
 * throws a UserError for a file that is missing, damaged or wrong.
 * @throws UserError where the data set is not there or not whole.
 */
export async function createEvaluationLoader(options: EvaluationLoaderOptions): Promise<EvaluationLoader> {
  const { dataset, split = 'val', recipe, dataRoot, ratios, limit, start = 0, skipped } = options;
  const tolerance = skipped?.toleranceOf(split) ?? NO_TOLERANCE;
  const entries = (await readSplit(dataset, split, dataRoot, ofIncomplete(tolerance))).slice(0, limit ?? undefined);
  const workers = options.workers ?? defaultWorkers();
  const ahead = resultsAhead(workers, largestViewsBytes(recipe.imageScaleWh, ratios));
  const data: EvaluationWorkerData = { dataset, imageScaleWh: recipe.imageScaleWh, ratios, tolerance };
  const pool = await WorkerPool.start<Entry, EvaluationAnswer>(
    new URL('./workers/evaluation-worker.js', import.meta.url),
    Math.min(workers, ahead),
    data,
  );
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
      const remaining = entries.slice(start);
      const prefetch = new Prefetch((index) => pool.run(remaining[index]!), ahead, remaining.length);
      for (position = start; position < entries.length; ) {
        const answer = await prefetch.next();
        position++;
        if ('reason' in answer) {
          await skipped?.add({ split, ...answer });
          leftOut.push(answer.name);
        } else yield answer;
      }
    },
    close: () => pool.close(),
  };
}

/** An image that was read, or why it was not. */
type LoadedImage = { readonly sample: PredictionSample } | { readonly problem: UserError };

interface ImageLoader extends AsyncIterable<LoadedImage> {
  /** Ends the worker threads. */
  close(): Promise<void>;
}

/** Starts worker threads that read images without labels and make their views, ahead of the reader and in the files' order. */
export async function createImageLoader(
  files: readonly string[],
  { imageScaleWh }: Pick<EvaluationRecipe, 'imageScaleWh'>,
  ratios: readonly number[],
): Promise<ImageLoader> {
  const workers = defaultWorkers();
  // Views are at most as large as the scale times their ratio; four bytes for each of three colours.
  const bytes = ratios.reduce((sum, ratio) => sum + ratio ** 2, 0) * imageScaleWh[0] * imageScaleWh[1] * 12;
  const ahead = resultsAhead(workers, bytes);
  const data: PredictionWorkerData = { imageScaleWh, ratios };
  const pool = await WorkerPool.start<string, PredictionSample>(
    new URL('./workers/prediction-worker.js', import.meta.url),
    Math.min(workers, ahead, files.length),
    data,
  );
  const load = (index: number): Promise<LoadedImage> =>
    pool.run(files[index]!).then(
      (sample) => ({ sample }),
      (error: unknown) => {
        if (error instanceof UserError) return { problem: error };
        throw error;
      },
    );
  return {
    async *[Symbol.asyncIterator]() {
      const prefetch = new Prefetch(load, ahead, files.length);
      for (let read = 0; read < files.length; read++) yield await prefetch.next();
    },
    close: () => pool.close(),
  };
}
