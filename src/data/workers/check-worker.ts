import { workerData } from 'node:worker_threads';
import { type CheckedEntry, type CheckOptions, checkEntry } from '../datasets/check-entry.js';
import type { Dataset } from '../datasets/dataset.js';
import type { Entry } from '../datasets/find-entries.js';
import { serve } from './serve.js';

/** What every checking worker is started with. */
export interface CheckWorkerData {
  readonly dataset: Dataset;
  readonly options: CheckOptions;
}

export interface CheckTask {
  readonly entry: Entry;
  /** See `CheckOptions`. */
  readonly lookAtLabels: boolean;
}

serve<CheckTask, CheckedEntry>(async ({ entry, lookAtLabels }) => {
  const { dataset, options } = workerData as CheckWorkerData;
  return { result: await checkEntry(entry, dataset, { ...options, lookAtLabels }), transfer: [] };
});
