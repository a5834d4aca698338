import { workerData } from 'node:worker_threads';
import type { DataRecipe } from '../../experiments/experiment.js';
import type { Batch } from '../batch.js';
import type { Dataset } from '../datasets/dataset.js';
import type { Entry } from '../datasets/read-split.js';
import { makeBatch } from '../samples/training.js';
import { serve } from './serve.js';

/** What every training worker is started with. */
export interface TrainingWorkerData {
  readonly dataset: Dataset;
  readonly recipe: DataRecipe;
  readonly seed: number;
}

export interface TrainingTask {
  readonly iteration: number;
  readonly entries: readonly Entry[];
}

serve<TrainingTask, Batch>(async ({ iteration, entries }) => {
  const batch = await makeBatch(entries, workerData as TrainingWorkerData, iteration);
  return { result: batch, transfer: [batch.images.buffer as ArrayBuffer, batch.labels.buffer as ArrayBuffer] };
});
