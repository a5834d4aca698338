import { workerData } from 'node:worker_threads';
import type { EvaluationSample } from '../batch.js';
import type { Dataset } from '../datasets/dataset.js';
import type { Entry } from '../datasets/read-split.js';
import { makeEvaluationSample } from '../samples/evaluation.js';
import { serve } from './serve.js';

/** What every evaluation worker is started with. */
export interface EvaluationWorkerData {
  readonly dataset: Dataset;
  readonly imageScaleWh: readonly [number, number];
  readonly ratios: readonly number[];
}

serve<Entry, EvaluationSample>(async (entry) => {
  const { dataset, imageScaleWh, ratios } = workerData as EvaluationWorkerData;
  const sample = await makeEvaluationSample(entry, dataset, imageScaleWh, ratios);
  const buffers = [sample.label, ...sample.views.map(({ image }) => image)].map(({ buffer }) => buffer as ArrayBuffer);
  return { result: sample, transfer: buffers };
});
