/** How far a quantity may be from its reference. All tolerances of the verification are here, each with its reason. */
export interface Tolerance {
  readonly limit: number;
  readonly unit: 'of the largest' | 'relative' | 'absolute' | 'pixels' | 'levels' | 'files';
  readonly reason: string;
}

/**
 * What a case says of the original's own rounding: its float32 against its float64 computation of the same weights.
 * 0 where the case does not say.
 */
export interface Noise {
  /** Logits, of the largest. */
  readonly logits: number;
  /** Logits, absolute. */
  readonly logitsAbsolute: number;
  readonly firstLoss: number;
  /** Relative L2 distance, the worst parameter. */
  readonly headGradient: number;
  readonly backboneGradient: number;
  readonly gradientNormMedian: number;
  readonly trajectoryLoss: number;
  readonly deltaMedian: number;
  readonly delta95: number;
}

type Depth = 18 | 50 | 101;

/**
 * Two float32 computations are each as far from float64 as the original's one, and another order of summation may be twice
 * as far: four times the case's own noise where that is more than the usual limit.
 */
const SPREAD = 4;

function widened(usual: number, noise: number): number {
  return Math.max(usual, SPREAD * noise);
}

/**
 * Batch statistics of a hundred layers multiply the rounding of each: the original's own noise is three to five times that
 * of depth 50, and another order of summation alone moved training logits from 3e-5 to 2e-4.
 */
function atDepth(depth: Depth, limit: number): number {
  return depth === 101 ? 5 * limit : limit;
}

/** Below this, no ReLU or pooling tie fell otherwise in float32 than in float64: one alone gives at least 4e-4. */
const NO_TIE = 1e-4;

export const TOLERANCES = {
  logits: (depth: Depth, noise: Noise): Tolerance => ({
    limit: widened(depth === 101 ? 1e-4 : 5e-5, noise.logits),
    unit: 'of the largest',
    reason: "the original's own float32 is 2e-6 to 3e-5 of the largest from its float64, most at depth 101",
  }),
  trainingLogits: (depth: Depth, noise: Noise): Tolerance => ({
    limit: widened(atDepth(depth, 1e-4), noise.logits),
    unit: 'of the largest',
    reason:
      'the reference is float32 itself, and batch statistics are means of a few hundred values: twice what inference gets',
  }),
  probabilities: (noise: Noise): Tolerance => ({
    limit: widened(2e-5, noise.logitsAbsolute / 2),
    unit: 'absolute',
    reason: 'a softmax moves by at most half of what its logits move',
  }),
  predictions: (belowMargin: number): Tolerance => ({
    limit: belowMargin,
    unit: 'pixels',
    reason: 'so many pixels have two best classes closer than 1e-4 in the reference; any other pixel must be equal',
  }),
  predictionMargin: {
    limit: 1e-4,
    unit: 'absolute',
    reason: 'where a pixel differs, the two classes must be as good as equal here too',
  },
  viewSizes: { limit: 0, unit: 'pixels', reason: 'sizes are integers' },
  firstLosses: (depth: Depth, noise: Noise): Tolerance => ({
    limit: widened(atDepth(depth, 1e-5), noise.firstLoss),
    unit: 'relative',
    reason: "the original's own float32 losses are within 5e-7 of its float64",
  }),
  accuracies: (pixels: number): Tolerance => ({
    // 0.02 %: two of the 12,288 pixels of a reference batch.
    limit: Math.max(2, Math.floor(2e-4 * pixels)),
    unit: 'pixels',
    reason: 'a few pixels have two best classes that are equal but for rounding',
  }),
  headGradients: (depth: Depth, noise: Noise): Tolerance => ({
    limit: widened(atDepth(depth, 1e-4), noise.headGradient),
    unit: 'relative',
    reason: "hardly a ReLU lies between them and the loss; the original's own float32 is within 7e-6",
  }),
  backboneGradients: (depth: Depth, noise: Noise): Tolerance =>
    isFreeOfTies(depth, noise)
      ? {
          limit: 1e-3,
          unit: 'relative',
          reason: 'no ReLU or pooling tie falls otherwise in the original; one that does here is settled',
        }
      : {
          limit: widened(1e-1, noise.backboneGradient),
          unit: 'relative',
          reason: 'one ReLU or pooling tie that rounding decides otherwise gives up to 5e-2 in all layers before it',
        },
  backboneAngle: {
    limit: 2e-3,
    unit: 'absolute',
    reason: '1 − cosine: ties that fall otherwise turn a gradient little',
  },
  gradientNorms: (depth: Depth, noise: Noise): Tolerance =>
    isFreeOfTies(depth, noise)
      ? { limit: 1e-3, unit: 'relative', reason: 'no ReLU or pooling tie falls otherwise in a case of this depth' }
      : {
          limit: 1e-1,
          unit: 'relative',
          reason: 'as the gradients; a tie can change a batch norm of two channels more, hence 19 of 20 norms',
        },
  gradientNormMedian: (noise: Noise): Tolerance => ({
    limit: widened(2e-2, noise.gradientNormMedian),
    unit: 'relative',
    reason: 'a tie that falls otherwise changes most norms little: 1e-3 in the original’s float32',
  }),
  learningRates: { limit: 1e-12, unit: 'relative', reason: 'computed in float64 on both sides' },
  trajectoryLosses: (depth: Depth, noise: Noise): Tolerance => ({
    limit: widened(atDepth(depth, 1e-4), noise.trajectoryLoss),
    unit: 'relative',
    reason: "the original's own float32 losses are up to 2e-5 off after four steps",
  }),
  deltaMedian: (depth: Depth, noise: Noise): Tolerance => ({
    limit: widened(atDepth(depth, 2e-3), noise.deltaMedian),
    unit: 'relative',
    reason: "a delta is the difference of nearly equal float32 numbers: the original's own median is 3e-4 off",
  }),
  delta95: (depth: Depth, noise: Noise): Tolerance => ({
    limit: widened(depth === 101 ? 2e-1 : 1e-1, noise.delta95),
    unit: 'relative',
    reason: 'some deltas are nearly all rounding: they and the ties mean nothing, 19 of 20 do',
  }),
  runningStatistics: (depth: Depth): Tolerance => ({
    limit: atDepth(depth, 1e-4),
    unit: 'relative',
    reason: 'means over the whole batch: they carry the noise of the activations, 3e-5',
  }),
  sameWeights: { limit: 0, unit: 'absolute', reason: 'two containers of the same values' },

  exactLevels: { limit: 0, unit: 'levels', reason: 'integer arithmetic: bit for bit' },
  exactPixels: { limit: 0, unit: 'pixels', reason: 'integer arithmetic: bit for bit' },
  hsvStep: {
    limit: 1,
    unit: 'levels',
    reason: "OpenCV's vector code truncates where its scalar code rounds, and which columns are vector code varies",
  },
  hsvStepMean: {
    limit: 0.4,
    unit: 'levels',
    reason: 'truncating instead of rounding moves about a third of the values',
  },
  photometricChain: { limit: 4, unit: 'levels', reason: 'a level of an HSV step grows in the steps after it' },
  normalised: { limit: 1e-6, unit: 'absolute', reason: 'one float32 subtraction and product of values up to 2.7' },
  distorted: {
    limit: 4 * 0.0176,
    unit: 'absolute',
    reason: 'four levels of 1/std = 0.0176 each after an HSV step; without one 1e-6 is asked for',
  },

  areas: { limit: 0, unit: 'pixels', reason: 'counts are integers' },
  figures: {
    limit: 1e-12,
    unit: 'absolute',
    reason: 'float64 quotients of integers; only the order of a sum may differ',
  },
  printedFigures: { limit: 5.1e-5, unit: 'absolute', reason: 'the original prints four digits' },

  tensorSums: {
    limit: 7e-12,
    unit: 'relative',
    reason: 'float64 sums of up to 7·|v|: only the order of summation may differ',
  },
  tensorFacts: { limit: 0, unit: 'files', reason: 'names, shapes, types and end values are read as they are' },
  refusals: { limit: 0, unit: 'files', reason: 'every hostile file must be refused by name, and none run' },
} as const satisfies Record<string, Tolerance | ((...facts: never[]) => Tolerance)>;

/** Whether a case's backbone gradients are as sharp as the heads': few enough activations, and none of them a tie. */
export function isFreeOfTies(depth: Depth, noise: Noise): boolean {
  return depth === 18 && noise.backboneGradient > 0 && noise.backboneGradient < NO_TIE;
}
