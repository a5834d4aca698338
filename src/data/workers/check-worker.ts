import { workerData } from 'node:worker_threads';
import { type CheckOptions, checkEntry, type FileProblem } from '../datasets/check-entry.js';
import type { Dataset } from '../datasets/dataset.js';
import type { Entry } from '../datasets/find-entries.js';
import { serve } from './serve.js';

/** What every checking worker is started with. */
export interface CheckWorkerData {
  readonly dataset: Dataset;
  readonly options: CheckOptions;
}

serve<Entry, FileProblem[]>(async (entry) => {
  const { dataset, options } = workerData as CheckWorkerData;
  return { result: await checkEntry(entry, dataset, options), transfer: [] };
});
