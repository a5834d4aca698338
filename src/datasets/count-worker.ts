import { workerData } from 'node:worker_threads';
import type { Dataset } from '../data/dataset.js';
import type { Size } from '../data/image.js';
import { readLabels } from '../data/samples.js';
import type { SplitEntry } from '../data/split.js';
import { serve } from '../data/workers/pool.js';

/** The data that each counting worker starts with. */
export interface CountWorkerData {
  readonly dataset: Dataset;
}

/** The size of a label map, and its pixel counts. */
export interface LabelCounts extends Size {
  /** [256]: pixels of each training id. */
  readonly counts: Uint32Array;
}

serve<SplitEntry, LabelCounts>(async ({ label }) => {
  const { dataset } = workerData as CountWorkerData;
  const labels = await readLabels(label, dataset);
  const counts = new Uint32Array(256);
  for (const id of labels.data) counts[id]!++;
  const { height, width } = labels;
  return { result: { height, width, counts }, transfer: [counts.buffer as ArrayBuffer] };
});
