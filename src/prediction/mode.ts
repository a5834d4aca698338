import type { Experiment } from '../experiments/experiment.js';

/**
 * Overrides that make a recipe infer in windows: those of the recipe where it does already; otherwise windows of the training
 * crop, two thirds of it apart, as in the published rows that slide (769 and 513, 480 and 320).
 */
export function slideOverrides({ evaluation, data }: Pick<Experiment, 'evaluation' | 'data'>): string[] {
  if (evaluation.mode === 'slide') return [];
  const stride = data.cropHw.map((side) => Math.max(1, Math.round((side * 2) / 3)));
  return [
    'evaluation.mode=slide',
    `evaluation.cropHw=${JSON.stringify(data.cropHw)}`,
    `evaluation.strideHw=${JSON.stringify(stride)}`,
  ];
}
