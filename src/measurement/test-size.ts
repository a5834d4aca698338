import { inferenceWindows } from '../evaluation/rows.js';
import { complexity } from '../network/complexity.js';
import type { EvaluationRecipe, Experiment } from '../recipe/experiment.js';

const PHOTOGRAPH = 4 / 3;
const CITYSCAPES = 2;

/**
 * [height, width] of the image that speed is measured on: one that the test scale's keep-ratio resize would give.
 *
 * A scale between 4:3 and 2:1 is the shape of the data set's own images (Cityscapes 2048×1024, CamVid 480×360) and is taken
 * whole. Others are boxes that images of any shape are fitted into (ADE20K 2048×512, Pascal Context 520×520); there the image is
 * a 4:3 photograph.
 */
export function benchmarkSize({
  imageScaleWh: [width, height],
}: Pick<EvaluationRecipe, 'imageScaleWh'>): [number, number] {
  const shape = width / height;
  if (shape >= PHOTOGRAPH && shape <= CITYSCAPES) return [height, width];
  const fitted = Math.min(width / PHOTOGRAPH, height);
  return [Math.round(fitted), Math.round(fitted * PHOTOGRAPH)];
}

/** [height, width] of that image's view at each ratio of the test scale. */
export function testViews(
  { imageScaleWh: [width, height] }: Pick<EvaluationRecipe, 'imageScaleWh'>,
  ratios: readonly number[],
): [number, number][] {
  return ratios.map((ratio) =>
    benchmarkSize({ imageScaleWh: [Math.floor(width * ratio), Math.floor(height * ratio)] }),
  );
}

/** Floating-point operations of the network on one image of size [height, width], over all windows of the row's inference. */
export function inferenceFlops(
  { model, evaluation }: Pick<Experiment, 'model' | 'evaluation'>,
  size: readonly [number, number],
): number {
  return inferenceWindows(evaluation, size)
    .map(({ height, width }) => complexity(model, [height, width]).flops)
    .reduce((sum, flops) => sum + flops, 0);
}
