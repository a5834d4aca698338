import { UserError } from '../support/errors.js';
import type { Recipe } from './experiment.js';
import type { RecipeSections } from './overrides.js';

/** `full`: as published. `smoke`: scaled down to minutes on a laptop CPU; its figures mean nothing. */
const PROFILES = ['full', 'smoke'] as const;
export type Profile = (typeof PROFILES)[number];

export function isProfile(name: string): name is Profile {
  return (PROFILES as readonly string[]).includes(name);
}

/** Shortest side of a smoke crop: at stride 8, still 8×8 positions. */
const SMALLEST_CROP = 64;

/** Images of a smoke step; a recipe for a few images may have fewer. */
const SMOKE_BATCH = 4;

/**
 * Divides a side as the network needs it. Published sides are multiples of 8 or, with aligned corners, multiples of 8 plus 1: n
 * becomes n / divisor, or (n − 1) / divisor + 1.
 */
function divide(side: number, divisor: number): number {
  return side % 2 === 0 ? Math.round(side / divisor) : Math.round((side - 1) / divisor) + 1;
}

/** Scales a recipe down. What characterises the row stays: stem, strides, dilation, alignment, slide or whole. */
function smoke<R extends RecipeSections>(recipe: R): R {
  const { model, data, training, evaluation } = recipe;
  const shortest = Math.min(...data.cropHw);
  const divisor = [8, 4, 2, 1].find((candidate) => shortest / candidate >= SMALLEST_CROP) ?? 1;
  const small = ([a, b]: readonly [number, number]): [number, number] => [divide(a, divisor), divide(b, divisor)];
  return {
    ...recipe,
    model: { ...model, width: 16, pretrained: null },
    data: { ...data, imageScaleWh: small(data.imageScaleWh), cropHw: small(data.cropHw) },
    training: {
      ...training,
      iterations: 100,
      batch: Math.min(SMOKE_BATCH, training.batch),
      checkpointEvery: 50,
      logEvery: 10,
    },
    evaluation: {
      ...evaluation,
      imageScaleWh: small(evaluation.imageScaleWh),
      cropHw: evaluation.cropHw && small(evaluation.cropHw),
      strideHw: evaluation.strideHw && small(evaluation.strideHw),
      limit: 8,
    },
    benchmark: { warmup: 1, images: 4, trainingSteps: 2, trainingBatch: 2 },
  };
}

/** @throws UserError if the profile does not exist. */
export function applyProfile<R extends RecipeSections>(recipe: R, profile: string): R {
  if (!isProfile(profile)) {
    throw new UserError(`Unknown profile: ${profile}.`, `The profiles are: ${PROFILES.join(', ')}.`);
  }
  return profile === 'smoke' ? smoke(recipe) : recipe;
}

/** What is wrong with a recipe, and how to fix it if that is not to change one of the values. */
type Broken = string | { readonly problem: string; readonly next: string };

/** A condition on several values of a recipe. Returns what is wrong. */
type Rule = (recipe: Recipe) => Broken | undefined;

/** The published width, at which the recipe counts channels. */
const PUBLISHED_WIDTH = 64;

const wholeChannels: Rule = ({ model }) => {
  if (model.stem === 'deep' && model.width % 2 !== 0) {
    return `model.width is ${model.width}: the deep stem's first convolutions have half of it, so it must be even`;
  }
  for (const name of ['decodeHead', 'auxiliaryHead'] as const) {
    const channels = (model[name].channels * model.width) / PUBLISHED_WIDTH;
    if (!Number.isInteger(channels)) {
      return `model.width is ${model.width}: model.${name} would have ${model[name].channels} × ${model.width} / ${PUBLISHED_WIDTH} = ${channels} channels, expected a whole number`;
    }
  }
  return undefined;
};

const contractedDilation: Rule = ({ model }) => {
  const odd = model.dilations.find((dilation) => dilation > 1 && dilation % 2 !== 0);
  if (!model.contractDilation || odd === undefined) return undefined;
  return `model.dilations has ${odd}: with contractDilation a stage's first block uses half of it, so it must be even`;
};

const slideWindow: Rule = ({ evaluation: { mode, cropHw, strideHw } }) => {
  if (mode === 'whole') {
    if (cropHw === null && strideHw === null) return undefined;
    return 'evaluation.mode is whole: evaluation.cropHw and evaluation.strideHw must be null';
  }
  if (cropHw === null || strideHw === null) {
    return 'evaluation.mode is slide: evaluation.cropHw and evaluation.strideHw must be given';
  }
  if (strideHw[0] > cropHw[0] || strideHw[1] > cropHw[1]) {
    return `evaluation.strideHw ${strideHw.join('×')} is larger than evaluation.cropHw ${cropHw.join('×')}: pixels would be left out`;
  }
  return undefined;
};

/** A ratio must leave pixels of a scale, whose sides are truncated to whole pixels (`scaleByRatio`). */
function withoutPixels(name: string, ratio: number, scaleName: string, scaleWh: readonly [number, number]) {
  if (scaleWh.every((side) => Math.trunc(side * ratio) >= 1)) return undefined;
  return `${name} has ${ratio}: no pixel of ${scaleName} ${scaleWh.join('×')} would be left, expected at least 1 / ${Math.min(...scaleWh)}`;
}

const RULES: readonly Rule[] = [
  wholeChannels,
  contractedDilation,
  slideWindow,
  ({ data: { ratioRange } }) =>
    ratioRange[0] > ratioRange[1]
      ? `data.ratioRange is [${ratioRange.join(', ')}]: expected [lowest, highest]`
      : undefined,
  ({ data: { imageScaleWh, ratioRange } }) =>
    withoutPixels('data.ratioRange', ratioRange[0], 'data.imageScaleWh', imageScaleWh),
  ({ evaluation: { imageScaleWh, ratios } }) =>
    withoutPixels('evaluation.ratios', Math.min(...ratios), 'evaluation.imageScaleWh', imageScaleWh),
  ({ training: { learningRate, minimumLearningRate } }) =>
    minimumLearningRate > learningRate
      ? `training.minimumLearningRate ${minimumLearningRate} is above training.learningRate ${learningRate}`
      : undefined,
  ({ model: { initialWeights = null, reset = null } }) =>
    reset !== null && initialWeights === null
      ? {
          problem: `model.reset is ${reset}, but there are no model.initialWeights from which it would be loaded`,
          next: 'Add --set initialWeights=FILE or --set initialWeights=ROW/RUN, or leave out the reset.',
        }
      : undefined,
  ({ model: { auxiliaryHead, decodeHead } }) =>
    auxiliaryHead.input > decodeHead.input
      ? `model.auxiliaryHead.input ${auxiliaryHead.input} comes after model.decodeHead.input ${decodeHead.input}`
      : undefined,
];

/** @throws UserError for the first rule that the recipe breaks. */
export function checkRules(recipe: Recipe, row: string): void {
  for (const rule of RULES) {
    const broken = rule(recipe);
    if (broken === undefined) continue;
    const { problem, next } =
      typeof broken === 'string' ? { problem: broken, next: 'Change the value in the file or with --set.' } : broken;
    throw new UserError(`${row}: ${problem}.`, next);
  }
}
