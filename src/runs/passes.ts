import { countWindows } from '../evaluation/windows.js';
import { benchmarkSize, testViews } from '../measurement/network-cost.js';
import type { NetworkPass } from '../network/convolution-shapes.js';
import type { Stage } from '../records/record.js';
import type { StagesOfRun } from './stage-memory.js';

/** Passes of the network over inputs of one size. */
export interface RunPasses extends NetworkPass {
  readonly count: number;
}

/**
 * The passes of a run's stages, by size. Images of a data set whose sizes differ count as those of `benchmarkSize`.
 * @param images Of the validation split.
 */
export function passesOfRun({ experiment, stages, evaluateEvery }: StagesOfRun, images: number): RunPasses[] {
  const { data, training, evaluation, benchmark } = experiment;
  const isHalf = training.precision !== 'fp32';
  const evaluated = Math.min(images, evaluation.limit ?? images);
  const inference = (size: readonly [number, number], times: number): RunPasses => {
    const windows = countWindows(evaluation, size);
    return { size: windows.size, trainingImages: null, isHalf, count: times * windows.count };
  };
  const steps = (trainingImages: number, count: number): RunPasses => {
    return { size: data.cropHw, trainingImages, isHalf, count };
  };
  const ofStage = (stage: Stage): RunPasses[] => {
    switch (stage) {
      case 'train':
        return [steps(training.batch, training.iterations)];
      case 'evaluate':
        return testViews(evaluation, [1]).map((size) => inference(size, evaluated));
      case 'evaluate-ms':
        return testViews(evaluation, evaluation.ratios).map((size) => inference(size, 2 * evaluated));
      case 'benchmark':
        return [
          steps(benchmark.trainingBatch, benchmark.trainingSteps),
          inference(benchmarkSize(evaluation), benchmark.images),
        ];
    }
  };
  const meanwhile = evaluateEvery === undefined ? 0 : Math.floor(training.iterations / evaluateEvery);
  const ofValidation = meanwhile === 0 ? [] : [inference(benchmarkSize(evaluation), meanwhile * evaluated)];
  return [...stages.flatMap(ofStage), ...ofValidation];
}
