import { workerData } from 'node:worker_threads';
import type { Dataset } from '../data/dataset.js';
import type { SplitEntry } from '../data/split.js';
import { serve } from '../data/workers/pool.js';
import { type CheckedEntry, type CheckOptions, checkEntry } from './check.js';

/** The data that each checking worker starts with. */
export interface CheckWorkerData {
  readonly dataset: Dataset;
  readonly options: CheckOptions;
}

export interface CheckTask {
  readonly entry: SplitEntry;
  /** See `CheckOptions`. */
  readonly lookAtLabels: boolean;
}

serve<CheckTask, CheckedEntry>(async ({ entry, lookAtLabels }) => {
  const { dataset, options } = workerData as CheckWorkerData;
  return { result: await checkEntry(entry, dataset, { ...options, lookAtLabels }), transfer: [] };
});
