import type { DataRecipe } from '../recipe/experiment.js';
import { Draws, Purpose } from '../support/random.js';
import type { Dataset } from './dataset.js';
import { type Batch, IGNORE_INDEX, type LabelMap, type RgbImage } from './image.js';
import { badSampleError, badSampleReason, type SkipTolerance, tolerates, tooManyBad } from './problem.js';
import { loadSample } from './samples.js';
import type { SplitEntry } from './split.js';
import { chooseCrop, flipHorizontally } from './transforms/crop.js';
import { normaliseInto } from './transforms/normalise.js';
import { distort, drawPhotometric, type PhotometricStep } from './transforms/photometric.js';
import { keepRatioSize, resizeBilinear, scaleByRatio } from './transforms/resize.js';

/** Crop draws that are reserved for one sample: two an attempt, eleven attempts, rounded up. */
const CROP_DRAWS_A_SAMPLE = 32;

/** The random choices of one training sample. */
interface Augmentation {
  readonly ratio: number;
  /** Uniform integer in [0, margin] of the crop's n-th draw; each attempt draws rows, then columns. */
  readonly cropDraw: (draw: number, margin: number) => number;
  readonly flip: boolean;
  readonly photometric: readonly PhotometricStep[];
}

/** The random choices of the sample at `position` in the batch of an iteration. */
export function drawAugmentation(recipe: DataRecipe, seed: number, iteration: number, position: number): Augmentation {
  const [low, high] = recipe.ratioRange;
  const crop = new Draws(seed, Purpose.crop, iteration);
  return {
    ratio: low + new Draws(seed, Purpose.scale, iteration).uniform(position) * (high - low),
    cropDraw: (draw, margin) => crop.integer(position * CROP_DRAWS_A_SAMPLE + draw, 0, margin),
    flip: new Draws(seed, Purpose.flip, iteration).uniform(position) < recipe.flipProbability,
    photometric: drawPhotometric(new Draws(seed, Purpose.photometric, iteration), position),
  };
}

/**
 * Resizes, crops, flips and distorts a sample, in this order. Labels are cheap to resize, so the crop is chosen on them, and only
 * its pixels of the image are resized.
 */
export function augment(
  sample: { readonly image: RgbImage; readonly labels: LabelMap },
  recipe: DataRecipe,
  { ratio, cropDraw, flip, photometric }: Augmentation,
): { image: RgbImage; labels: LabelMap } {
  const size = keepRatioSize(sample.image, scaleByRatio(recipe.imageScaleWh, ratio));
  const rule = { cropHw: recipe.cropHw, maximumRatio: recipe.categoryMaximumRatio };
  const { box, labels } = chooseCrop(sample.labels, size, rule, cropDraw);
  const image = resizeBilinear(sample.image, size, box);
  if (flip) {
    flipHorizontally(image.data, image.width, 3);
    flipHorizontally(labels.data, labels.width, 1);
  }
  distort(image, photometric);
  return { image, labels };
}

/** Copies labels to the top left of a target that starts at `offset` and is `targetWidth` wide. */
function placeLabels(labels: LabelMap, target: Int32Array, offset: number, targetWidth: number): void {
  for (let y = 0; y < labels.height; y++) {
    target.set(labels.data.subarray(y * labels.width, (y + 1) * labels.width), offset + y * targetWidth);
  }
}

/** Where samples are drawn that replace those that cannot be read. */
interface Replacements {
  /** All samples of the split. */
  readonly entries: readonly SplitEntry[];
  readonly tolerance: SkipTolerance;
}

export interface BatchOptions {
  readonly dataset: Dataset;
  readonly recipe: DataRecipe;
  readonly seed: number;
  /** Without it, a bad sample is an error. */
  readonly replacements?: Replacements;
}

/** A batch, and the samples that should have been in it but cannot be read. */
export interface MadeBatch {
  readonly batch: Batch;
  readonly bad: readonly { readonly name: string; readonly reason: string }[];
}

/** Enough draws to find a good sample even if a split has few of them. */
const MOST_ATTEMPTS = 1000;

/**
 * Reads the sample at `position` in the batch of an iteration. If it cannot be read, it is noted in `bad` and replaced by one drawn
 * from the whole split, which depends only on seed, iteration, position, and on which files are bad.
 */
async function readSample(
  entry: SplitEntry,
  { dataset, seed, replacements }: BatchOptions,
  iteration: number,
  position: number,
  bad: Map<string, string>,
) {
  const draws = new Draws(seed, Purpose.replacement, iteration);
  for (let chosen = entry, attempt = 0; ; attempt++) {
    try {
      return { name: chosen.name, ...(await loadSample(chosen, dataset)) };
    } catch (error) {
      const reason = badSampleReason(error);
      if (reason === null || !replacements || !tolerates(replacements.tolerance, chosen.name))
        throw badSampleError(error);
      bad.set(chosen.name, reason);
      const { entries, tolerance } = replacements;
      // `SkippedSamples` counts those of the whole run, in the main thread.
      const most = Math.max(tolerance.limit, tolerance.known.length);
      if (bad.size > most || attempt === MOST_ATTEMPTS) throw tooManyBad(reason, tolerance.limit);
      chosen = entries[draws.integer(position * MOST_ATTEMPTS + attempt, 0, entries.length - 1)]!;
    }
  }
}

/** Makes the batch of an iteration. Samples smaller than the crop are padded at the bottom and the right. */
export async function makeBatch(
  entries: readonly SplitEntry[],
  options: BatchOptions,
  iteration: number,
): Promise<MadeBatch> {
  const { recipe, seed } = options;
  const bad = new Map<string, string>();
  const names: string[] = [];
  const [height, width] = recipe.cropHw;
  const pixels = height * width;
  const images = new Float32Array(entries.length * pixels * 3);
  const labels = new Int32Array(entries.length * pixels).fill(IGNORE_INDEX);
  for (const [position, entry] of entries.entries()) {
    const { name, ...loaded } = await readSample(entry, options, iteration, position, bad);
    names.push(name);
    const sample = augment(loaded, recipe, drawAugmentation(recipe, seed, iteration, position));
    normaliseInto(sample.image, images, position * pixels * 3, width);
    placeLabels(sample.labels, labels, position * pixels, width);
  }
  return {
    batch: { count: entries.length, height, width, images, labels, names },
    bad: Array.from(bad, ([name, reason]) => ({ name, reason })),
  };
}
