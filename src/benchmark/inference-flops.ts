import { inferenceWindows } from '../evaluation/windows.js';
import type { Experiment } from '../experiments/experiment.js';
import { complexity } from '../nn/complexity.js';

/** Floating-point operations of the network on one image of size [height, width], over all windows of the row's inference. */
export function inferenceFlops(
  { model, evaluation }: Pick<Experiment, 'model' | 'evaluation'>,
  size: readonly [number, number],
): number {
  return inferenceWindows(evaluation, size)
    .map(({ height, width }) => complexity(model, [height, width]).flops)
    .reduce((sum, flops) => sum + flops, 0);
}
