import { UserError } from '../support/errors.js';
import type { RecipeValues } from './overrides.js';

/** `full`: as published. `smoke`: the same recipe in small, minutes on a laptop CPU; its figures mean nothing. */
export const PROFILES = ['full', 'smoke'] as const;
export type Profile = (typeof PROFILES)[number];

export function isProfile(name: string): name is Profile {
  return (PROFILES as readonly string[]).includes(name);
}

/** Shortest side of a smoke crop: at stride 8, still 8×8 positions. */
const SMALLEST_CROP = 64;

type Size = [number, number];

/**
 * Divides sizes, keeping what the network needs of them: the published sizes are multiples of 8 or, with aligned corners,
 * multiples of 8 plus 1, so n becomes n / divisor, or (n − 1) / divisor + 1.
 */
function divide([a, b]: readonly [number, number], divisor: number): Size {
  const one = (n: number) => (n % 2 === 0 ? Math.round(n / divisor) : Math.round((n - 1) / divisor) + 1);
  return [one(a), one(b)];
}

/** The row's recipe in small. What makes the row what it is stays: stem, strides, dilation, alignment, slide or whole. */
function smoke<R extends RecipeValues>(recipe: R): R {
  const shortest = Math.min(...recipe.data.cropHw);
  const divisor = [8, 4, 2, 1].find((candidate) => shortest / candidate >= SMALLEST_CROP) ?? 1;
  const { cropHw, strideHw } = recipe.evaluation;
  return {
    ...recipe,
    model: { ...recipe.model, width: 16, pretrained: null },
    data: {
      ...recipe.data,
      imageScaleWh: divide(recipe.data.imageScaleWh, divisor),
      cropHw: divide(recipe.data.cropHw, divisor),
    },
    training: { ...recipe.training, iterations: 100, batch: 4, checkpointEvery: 50, logEvery: 10 },
    evaluation: {
      ...recipe.evaluation,
      imageScaleWh: divide(recipe.evaluation.imageScaleWh, divisor),
      cropHw: cropHw === null ? null : divide(cropHw, divisor),
      strideHw: strideHw === null ? null : divide(strideHw, divisor),
      limit: 8,
    },
    benchmark: { warmup: 1, images: 4, trainingSteps: 2, trainingBatch: 2 },
  };
}

/** @throws UserError on a profile that does not exist. */
export function applyProfile<R extends RecipeValues>(recipe: R, profile: string): R {
  if (!isProfile(profile)) {
    throw new UserError(`Unknown profile: ${profile}.`, `The profiles are: ${PROFILES.join(', ')}.`);
  }
  return profile === 'smoke' ? smoke(recipe) : recipe;
}
