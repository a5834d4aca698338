import { workerData } from 'node:worker_threads';
import type { Entry } from '../split.js';
import { type BatchOptions, type MadeBatch, makeBatch } from '../training-samples.js';
import { serve } from './pool.js';

/** What every training worker is started with. */
export type TrainingWorkerData = BatchOptions;

export interface TrainingTask {
  readonly iteration: number;
  readonly entries: readonly Entry[];
}

serve<TrainingTask, MadeBatch>(async ({ iteration, entries }) => {
  const made = await makeBatch(entries, workerData as TrainingWorkerData, iteration);
  const { images, labels } = made.batch;
  return { result: made, transfer: [images.buffer as ArrayBuffer, labels.buffer as ArrayBuffer] };
});
