import { workerData } from 'node:worker_threads';
import type { Dataset } from '../dataset.js';
import type { EvaluationSample } from '../image.js';
import { badSampleError, badSampleReason, type SkipTolerance, tolerates } from '../problem.js';
import { makeEvaluationSample } from '../samples.js';
import type { SplitEntry } from '../split.js';
import { serve } from './pool.js';

export interface EvaluationWorkerData {
  readonly dataset: Dataset;
  readonly imageScaleWh: readonly [number, number];
  readonly ratios: readonly number[];
  /** A sample that cannot be read and may be skipped is an answer, not an error. */
  readonly tolerance: SkipTolerance;
}

/** A sample, or why it cannot be read. */
export type EvaluationAnswer = EvaluationSample | { readonly name: string; readonly reason: string };

serve<SplitEntry, EvaluationAnswer>(async (entry) => {
  const { dataset, imageScaleWh, ratios, tolerance } = workerData as EvaluationWorkerData;
  let sample: EvaluationSample;
  try {
    sample = await makeEvaluationSample(entry, dataset, imageScaleWh, ratios);
  } catch (error) {
    const reason = badSampleReason(error);
    if (reason === null || !tolerates(tolerance, entry.name)) throw badSampleError(error);
    return { result: { name: entry.name, reason }, transfer: [] };
  }
  const buffers = [sample.label, ...sample.views.map(({ image }) => image)].map(({ buffer }) => buffer as ArrayBuffer);
  return { result: sample, transfer: buffers };
});
