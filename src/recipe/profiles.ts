import { UserError } from '../support/errors.js';
import type { Recipe } from './experiment.js';
import type { RecipeValues } from './overrides.js';

/** `full`: as published. `smoke`: the same recipe in small, minutes on a laptop CPU; its figures mean nothing. */
const PROFILES = ['full', 'smoke'] as const;
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

/** What must hold between the values of a recipe, beyond the type of each. A rule returns what is wrong. */
type Rule = (recipe: Recipe) => string | undefined;

/** Width as published: the recipe's channels are counted at this width. */
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

const orderedRatios: Rule = ({ data: { ratioRange } }) =>
  ratioRange[0] > ratioRange[1]
    ? `data.ratioRange is [${ratioRange.join(', ')}]: expected [lowest, highest]`
    : undefined;

/** What is wrong with a ratio of a scale, whose sides are truncated to whole pixels (data/transforms/size.ts). */
function withoutPixels(name: string, ratio: number, scaleName: string, scaleWh: readonly [number, number]) {
  if (scaleWh.every((side) => Math.trunc(side * ratio) >= 1)) return undefined;
  return `${name} has ${ratio}: no pixel of ${scaleName} ${scaleWh.join('×')} would be left, expected at least 1 / ${Math.min(...scaleWh)}`;
}

const trainingRatios: Rule = ({ data: { imageScaleWh, ratioRange } }) =>
  withoutPixels('data.ratioRange', ratioRange[0], 'data.imageScaleWh', imageScaleWh);

const evaluationRatios: Rule = ({ evaluation: { imageScaleWh, ratios } }) =>
  withoutPixels('evaluation.ratios', Math.min(...ratios), 'evaluation.imageScaleWh', imageScaleWh);

const learningRates: Rule = ({ training: { learningRate, minimumLearningRate } }) =>
  minimumLearningRate > learningRate
    ? `training.minimumLearningRate ${minimumLearningRate} is above training.learningRate ${learningRate}`
    : undefined;

const auxiliaryDepth: Rule = ({ model }) =>
  model.auxiliaryHead.input > model.decodeHead.input
    ? `model.auxiliaryHead.input ${model.auxiliaryHead.input} comes after model.decodeHead.input ${model.decodeHead.input}`
    : undefined;

const RULES: readonly Rule[] = [
  wholeChannels,
  contractedDilation,
  slideWindow,
  orderedRatios,
  trainingRatios,
  evaluationRatios,
  learningRates,
  auxiliaryDepth,
];

/** @throws UserError on the first rule that the recipe breaks. */
export function checkRules(recipe: Recipe, row: string): void {
  for (const rule of RULES) {
    const broken = rule(recipe);
    if (broken !== undefined) throw new UserError(`${row}: ${broken}.`, 'Change the value in the file or with --set.');
  }
}
