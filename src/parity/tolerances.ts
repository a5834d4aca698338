/** How far a quantity may be from its reference. All tolerances of the verification are here, each with its reason. */
export interface Tolerance {
  readonly limit: number;
  readonly unit: 'of the largest' | 'relative' | 'absolute' | 'pixels' | 'levels' | 'files';
  readonly reason: string;
}

/**
 * A case's data on the original's own rounding: its float32 against its float64 computation with the same weights. 0 if the
 * case has none.
 */
export interface Noise {
  /** Of logits, as a part of the largest. */
  readonly logits: number;
  /** Of logits, absolute. */
  readonly logitsAbsolute: number;
  readonly firstLoss: number;
  /** Relative L2 distance of the worst parameter. */
  readonly headGradient: number;
  readonly backboneGradient: number;
  readonly gradientNormMedian: number;
  readonly trajectoryLoss: number;
  readonly deltaMedian: number;
  readonly delta95: number;
}

type Depth = 18 | 50 | 101;

/**
 * Both float32 computations are as far from float64 as the original's, and another order of summation may be twice as far: four
 * times the case's own noise if that exceeds the usual limit.
 */
const SPREAD = 4;

function widened(usual: number, noise: number): number {
  return Math.max(usual, SPREAD * noise);
}

/**
 * Batch statistics of a hundred layers multiply the rounding of each: the original's own noise is three to five times that of
 * depth 50, and another order of summation alone changed the error of training logits from 3e-5 to 2e-4.
 */
function atDepth(depth: Depth, limit: number): number {
  return depth === 101 ? 5 * limit : limit;
}

/** Noise below this means that no ReLU or pooling tie differs between float32 and float64: one alone gives at least 4e-4. */
const NO_TIE = 1e-4;

const inUnit =
  (unit: Tolerance['unit']) =>
  (limit: number, reason: string): Tolerance => ({ limit, unit, reason });
const ofLargest = inUnit('of the largest');
const relative = inUnit('relative');
const absolute = inUnit('absolute');
const pixels = inUnit('pixels');
const levels = inUnit('levels');
const files = inUnit('files');

export const TOLERANCES = {
  logits: (depth: Depth, { logits }: Noise) =>
    ofLargest(
      widened(depth === 101 ? 1e-4 : 5e-5, logits),
      "the original's own float32 is 2e-6 to 3e-5 of the largest from its float64, most at depth 101",
    ),
  trainingLogits: (depth: Depth, { logits }: Noise) =>
    ofLargest(
      widened(atDepth(depth, 1e-4), logits),
      'the reference itself is float32, and batch statistics are means of a few hundred values: twice the error of inference',
    ),
  probabilities: ({ logitsAbsolute }: Noise) =>
    absolute(widened(2e-5, logitsAbsolute / 2), 'a softmax changes by at most half of the change of its logits'),
  predictions: (belowMargin: number) =>
    pixels(
      belowMargin,
      'in so many pixels of the reference the two best classes are closer than 1e-4; all other pixels must be equal',
    ),
  predictionMargin: absolute(1e-4, 'if a pixel differs, its two classes must be nearly equal here too'),
  viewSizes: pixels(0, 'sizes are integers'),
  firstLosses: (depth: Depth, { firstLoss }: Noise) =>
    relative(
      widened(atDepth(depth, 1e-5), firstLoss),
      "the original's own float32 losses are within 5e-7 of its float64",
    ),
  // 0.02 %: two of the 12,288 pixels of a reference batch.
  accuracies: (count: number) =>
    pixels(Math.max(2, Math.floor(2e-4 * count)), 'in a few pixels the two best classes are equal except for rounding'),
  headGradients: (depth: Depth, { headGradient }: Noise) =>
    relative(
      widened(atDepth(depth, 1e-4), headGradient),
      "there are few ReLUs between them and the loss; the original's own float32 is within 7e-6",
    ),
  backboneGradients: (depth: Depth, noise: Noise) =>
    isFreeOfTies(depth, noise)
      ? relative(1e-3, 'no ReLU or pooling tie differs in the original; one that differs here is resolved')
      : relative(
          widened(1e-1, noise.backboneGradient),
          'one ReLU or pooling tie that rounding decides differently gives up to 5e-2 in all layers before it',
        ),
  backboneAngle: absolute(2e-3, '1 − cosine: different ties hardly turn a gradient'),
  gradientNorms: (depth: Depth, noise: Noise) =>
    isFreeOfTies(depth, noise)
      ? relative(1e-3, 'no ReLU or pooling tie differs in a case of this depth')
      : relative(1e-1, 'as for gradients; a tie can change a batch norm of two channels more, hence 19 of 20 norms'),
  gradientNormMedian: ({ gradientNormMedian }: Noise) =>
    relative(
      widened(2e-2, gradientNormMedian),
      "a different tie hardly changes most norms: 1e-3 in the original's float32",
    ),
  learningRates: relative(9e-16, 'computed in float64 on both sides: four units in the last place'),
  trajectoryLosses: (depth: Depth, { trajectoryLoss }: Noise) =>
    relative(
      widened(atDepth(depth, 1e-4), trajectoryLoss),
      "the original's own float32 losses are up to 2e-5 off after four steps",
    ),
  deltaMedian: (depth: Depth, { deltaMedian }: Noise) =>
    relative(
      widened(atDepth(depth, 2e-3), deltaMedian),
      "a delta is the difference of nearly equal float32 numbers: the original's own median is 3e-4 off",
    ),
  delta95: (depth: Depth, { delta95 }: Noise) =>
    relative(
      widened(depth === 101 ? 2e-1 : 1e-1, delta95),
      'some deltas are almost only rounding and ties; 19 of 20 are meaningful',
    ),
  runningStatistics: (depth: Depth) =>
    relative(atDepth(depth, 1e-4), 'means over the whole batch: they carry the noise of the activations, 3e-5'),
  sameWeights: absolute(0, 'two containers of the same values'),

  exactLevels: levels(0, 'integer arithmetic: bit for bit'),
  exactPixels: pixels(0, 'integer arithmetic: bit for bit'),
  hsvStep: levels(
    1,
    "OpenCV's vector code truncates, its scalar code rounds, and which columns the vector code does varies",
  ),
  hsvStepMean: levels(0.4, 'truncating instead of rounding moves about a third of the values'),
  photometricChain: levels(4, 'a level of an HSV step grows in the steps after it'),
  normalised: absolute(
    9.5e-7,
    'one float32 subtraction and product of values up to 2.7: four units in its last place, of which one was measured',
  ),
  distorted: absolute(
    4 * 0.0176,
    'after an HSV step, four levels of 1/std = 0.0176 each; without one, as for normalised values',
  ),

  areas: pixels(0, 'counts are integers'),
  figures: absolute(
    9e-16,
    'float64 quotients of integers up to 1; only the order of a sum may differ: four times the 2.2e-16 measured',
  ),
  printedFigures: absolute(5.1e-5, 'the original prints four digits'),

  tensorSums: relative(7e-12, 'float64 sums of up to 7·|v|: only the order of summation may differ'),
  tensorFacts: files(0, 'names, shapes, types and end values are read unchanged'),
  refusals: files(0, 'every hostile file must be refused by name, and none run'),
} as const satisfies Record<string, Tolerance | ((...facts: never[]) => Tolerance)>;

/** Whether a case's backbone gradients are as exact as the heads': few activations, and none of them a tie. */
export function isFreeOfTies(depth: Depth, noise: Noise): boolean {
  return depth === 18 && noise.backboneGradient > 0 && noise.backboneGradient < NO_TIE;
}
