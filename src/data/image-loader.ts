import type { EvaluationRecipe } from '../experiments/experiment.js';
import { UserError } from '../support/errors.js';
import { WorkerPool } from './workers/pool.js';
import type { PredictionSample, PredictionWorkerData } from './workers/prediction-worker.js';
import { defaultWorkers, Prefetch, resultsAhead } from './workers/prefetch.js';

/** An image that was read, or why it was not. */
export type LoadedImage = { readonly sample: PredictionSample } | { readonly problem: UserError };

export interface ImageLoader extends AsyncIterable<LoadedImage> {
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
