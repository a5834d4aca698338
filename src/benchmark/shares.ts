import type { Experiment } from '../experiments/experiment.js';
import { complexity } from '../nn/complexity.js';
import type { BenchmarkResult } from './benchmark.js';
import { inferenceFlops } from './inference-flops.js';

/** What the shares are made from. */
export interface MeasuredRates
  extends Pick<
    BenchmarkResult,
    'sizeHw' | 'secondsPerImage' | 'trainingSizeHw' | 'trainingBatch' | 'trainingSecondsPerStep'
  > {
  readonly roofline: Pick<BenchmarkResult['roofline'], 'convolutionGflopsBefore' | 'convolutionGflopsAfter'>;
}

/** The rates of the convolutions of a training step and of inference, over that of a bare convolution: its mean before and after. */
export function rooflineShares(
  experiment: Pick<Experiment, 'model' | 'evaluation'>,
  { sizeHw, secondsPerImage, trainingSizeHw, trainingBatch, trainingSecondsPerStep, roofline }: MeasuredRates,
): Pick<BenchmarkResult['roofline'], 'trainingShare' | 'inferenceShare'> {
  const convolutionGflops = (roofline.convolutionGflopsBefore + roofline.convolutionGflopsAfter) / 2;
  const share = (flops: number, seconds: number) => flops / seconds / 1e9 / convolutionGflops;
  const trainingFlops = complexity(experiment.model, trainingSizeHw).trainingFlops * trainingBatch;
  return {
    trainingShare: share(trainingFlops, trainingSecondsPerStep),
    inferenceShare: share(inferenceFlops(experiment, sizeHw), secondsPerImage),
  };
}
