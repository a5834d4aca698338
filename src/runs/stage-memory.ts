import { benchmarkSize, testViews } from '../benchmark/test-size.js';
import { largestViewsBytes } from '../data/transforms/size.js';
import { defaultWorkers, resultsAhead } from '../data/workers/prefetch.js';
import type { Engine } from '../engines/engine.js';
import { inferenceMemory } from '../evaluation/memory.js';
import type { Experiment } from '../experiments/experiment.js';
import { trainingMemory } from '../nn/memory.js';
import type { Stage } from './stage-names.js';

/** What a stage holds in memory at its peak, by shapes and sizes alone. */
export interface StageMemory {
  readonly stage: Stage;
  /** Live tensors, where tensors are: the GPU's memory, or main memory. */
  readonly tensorBytes: number;
  /** What the tensors are of. */
  readonly of: 'a training step' | 'inference of an image';
  /** In main memory: batches or images that worker threads make ahead. */
  readonly aheadBytes: number;
}

/** The stage that holds most, tensors and what is made ahead together; on a GPU tensors alone. */
export function largestStageMemory(
  experiment: Experiment,
  stages: readonly Stage[],
  device: Engine['device'],
): StageMemory {
  const total = ({ tensorBytes, aheadBytes }: StageMemory) => tensorBytes + (device === 'cpu' ? aheadBytes : 0);
  return stages
    .flatMap((stage) => memoryOf(experiment, stage, device))
    .reduce((largest, each) => (total(each) > total(largest) ? each : largest));
}

function memoryOf(experiment: Experiment, stage: Stage, device: Engine['device']): StageMemory[] {
  const { training, benchmark, evaluation } = experiment;
  switch (stage) {
    case 'train':
      return [{ ...stepMemory(experiment, stage, training.batch), aheadBytes: batchesAhead(experiment) }];
    case 'benchmark':
      return [
        stepMemory(experiment, stage, benchmark.trainingBatch),
        { ...imageMemory(experiment, stage, device), aheadBytes: 0 },
      ];
    case 'evaluate':
      return [{ ...imageMemory(experiment, stage, device), aheadBytes: viewsAhead(evaluation, [1]) }];
    case 'evaluate-ms':
      return [{ ...imageMemory(experiment, stage, device), aheadBytes: viewsAhead(evaluation, evaluation.ratios) }];
  }
}

function stepMemory({ model, data, training }: Experiment, stage: Stage, batch: number): StageMemory {
  const { peakBytes } = trainingMemory(model, data.cropHw, batch, training.precision);
  return { stage, tensorBytes: peakBytes, of: 'a training step', aheadBytes: 0 };
}

function imageMemory(experiment: Experiment, stage: Stage, device: Engine['device']): StageMemory {
  const { evaluation } = experiment;
  const flip = stage === 'evaluate-ms';
  const views = testViews(evaluation, flip ? evaluation.ratios : [1]);
  const { peakBytes } = inferenceMemory({ experiment, size: benchmarkSize(evaluation), views, flip, device });
  return { stage, tensorBytes: peakBytes, of: 'inference of an image', aheadBytes: 0 };
}

/** Bytes of the training batches that workers make ahead. */
function batchesAhead({ data, training }: Experiment): number {
  const [height, width] = data.cropHw;
  const bytes = training.batch * height * width * 16;
  return bytes * resultsAhead(defaultWorkers(), bytes);
}

/** Bytes of the views of the image that is predicted, and of those that workers make ahead. */
function viewsAhead({ imageScaleWh, ...rest }: Experiment['evaluation'], ratios: readonly number[]): number {
  const bytes = testViews({ imageScaleWh }, ratios)
    .map(([height, width]) => height * width * 12)
    .reduce((sum, each) => sum + each, 0);
  const images = 1 + resultsAhead(defaultWorkers(), largestViewsBytes(imageScaleWh, ratios));
  return bytes * Math.min(images, rest.limit ?? images);
}
