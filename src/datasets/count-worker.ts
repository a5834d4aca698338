import { workerData } from 'node:worker_threads';
import type { Dataset } from '../data/dataset.js';
import type { SplitEntry } from '../data/split.js';
import { serve } from '../data/workers/pool.js';
import { countLabels, type LabelCounts } from './label-counts.js';

/** The data that each counting worker starts with. */
export interface CountWorkerData {
  readonly dataset: Dataset;
}

serve<SplitEntry, LabelCounts>(async (entry) => {
  const result = await countLabels(entry, (workerData as CountWorkerData).dataset);
  return { result, transfer: [result.counts.buffer] };
});
