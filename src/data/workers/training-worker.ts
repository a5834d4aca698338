import { workerData } from 'node:worker_threads';
import type { SplitEntry } from '../split.js';
import { type BatchArrays, type BatchOptions, type MadeBatch, makeBatch } from '../training-samples.js';
import { serve } from './pool.js';

export interface TrainingTask {
  readonly iteration: number;
  readonly entries: readonly SplitEntry[];
  /** See `makeBatch`. */
  readonly used?: BatchArrays | undefined;
}

serve<TrainingTask, MadeBatch>(async ({ iteration, entries, used }) => {
  const made = await makeBatch(entries, workerData as BatchOptions, iteration, used);
  const { images, labels } = made.batch;
  return { result: made, transfer: [images.buffer as ArrayBuffer, labels.buffer as ArrayBuffer] };
});
