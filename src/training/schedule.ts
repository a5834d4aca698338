import type { TrainingRecipe } from '../experiments/experiment.js';

/** Polynomial decay: (base − min)·(1 − i/max)^power + min, with iteration i from 0. */
export function learningRate(
  recipe: Pick<TrainingRecipe, 'learningRate' | 'minimumLearningRate' | 'power' | 'iterations'>,
  iteration: number,
): number {
  const { learningRate: base, minimumLearningRate: minimum, power, iterations } = recipe;
  return (base - minimum) * (1 - iteration / iterations) ** power + minimum;
}
