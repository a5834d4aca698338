import type { DataRecipe } from '../recipe/experiment.js';
import { Draws, Purpose } from '../support/random.js';
import type { Dataset } from './dataset.js';
import { type Batch, IGNORE_INDEX, type LabelMap, type RgbImage, type Size } from './image.js';
import { badSampleError, badSampleReason, type SkipTolerance, tolerates, tooManyBad } from './problem.js';
import { loadSample, readSources, type SampleSources } from './samples.js';
import { prepareRows } from './simd/distorted.js';
import { countIds, decodePlacedLabels, placeLabels, writeIds } from './simd/labels.js';
import { openWorkspace } from './simd/open-workspace.js';
import { decodePixels } from './simd/png.js';
import { placeImage, resizeRows, sourceBox, type WorkspaceImage } from './simd/resized.js';
import type { Workspace } from './simd/workspace.js';
import type { SplitEntry } from './split.js';
import { chooseBox, chooseCrop, flipHorizontally } from './transforms/crop.js';
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

/** The arrays of a batch, as `Batch` describes them. */
export type BatchArrays = Pick<Batch, 'images' | 'labels'>;

/** Where a sample goes in the arrays of its batch; height and width are those of the batch. */
interface Place extends BatchArrays, Size {
  /** The sample's first pixel. */
  readonly pixel: number;
}

/** Pads a sample of a size at the bottom and the right. */
function padPlace({ images, labels, pixel, height, width }: Place, size: Size): void {
  for (let y = 0; y < height; y++) {
    const [from, to] = [pixel + y * width + (y < size.height ? size.width : 0), pixel + (y + 1) * width];
    images.fill(0, from * 3, to * 3);
    labels.fill(IGNORE_INDEX, from, to);
  }
}

/** Writes an augmented sample, normalised, to the top left of its place, and pads it. */
function placeSample({ image, labels }: { image: RgbImage; labels: LabelMap }, place: Place): void {
  padPlace(place, image);
  normaliseInto(image, place.images, place.pixel * 3, place.width);
  for (let y = 0; y < labels.height; y++) {
    place.labels.set(labels.data.subarray(y * labels.width, (y + 1) * labels.width), place.pixel + y * place.width);
  }
}

/**
 * Does with the pixel code what `augment` and `placeSample` do, with the same result. Decodes only the part of the image that the crop
 * needs.
 * @returns False, before anything is written, if something is damaged or wrong.
 */
export function augmentInto(
  workspace: Workspace,
  { image, labels }: SampleSources,
  recipe: DataRecipe,
  { ratio, cropDraw, flip: isMirrored, photometric }: Augmentation,
  place: Place,
): boolean {
  if (image.height !== labels.height || image.width !== labels.width) return false;
  const placedLabels = 'compressed' in labels ? decodePlacedLabels(workspace, labels) : placeLabels(workspace, labels);
  if (placedLabels === null) return false;
  const size = keepRatioSize(image, scaleByRatio(recipe.imageScaleWh, ratio));
  const rule = { cropHw: recipe.cropHw, maximumRatio: recipe.categoryMaximumRatio };
  const window = chooseBox(size, rule, cropDraw, (box) => countIds(workspace, placedLabels, size, box));
  let placedImage: WorkspaceImage;
  if ('compressed' in image) {
    const box = sourceBox(image, size, window);
    const pixels = decodePixels(workspace, image, box);
    if (pixels === null) return false;
    placedImage = { pixels, box, size: image };
  } else placedImage = placeImage(workspace, image);

  padPlace(place, window);
  const target = { size, window, isMirrored };
  const { steps, normalised } = prepareRows(workspace, window.width, photometric);
  const values = workspace.reserve(window.width * 12);
  resizeRows(workspace, placedImage, target, (row, y) => {
    for (const step of steps) step(row);
    workspace.code.normalise(row, window.width, normalised, values);
    place.images.set(workspace.floats(values, window.width * 3), (place.pixel + y * place.width) * 3);
  });
  writeIds(workspace, placedLabels, target, place.labels, place.pixel, place.width);
  return true;
}

/** Reads a sample and writes it, augmented, to its place. @throws UserError for a bad file. */
async function makeSample(
  entry: SplitEntry,
  { dataset, recipe }: BatchOptions,
  augmentation: Augmentation,
  place: Place,
): Promise<void> {
  if (openWorkspace() !== null) {
    const sources = await readSources(entry, dataset);
    // Opened again: others may have used it meanwhile.
    if (augmentInto(openWorkspace()!, sources, recipe, augmentation, place)) return;
  }
  placeSample(augment(await loadSample(entry, dataset), recipe, augmentation), place);
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
  /** Position in the batch of the first sample that is made; default: 0. */
  readonly first?: number;
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
 * Makes the sample at `position` in the batch of an iteration from `entry`. If that cannot be read, it is noted in `bad` and replaced
 * by one drawn from the whole split, which depends only on seed, iteration, position, and on which files are bad.
 * @returns The name of the sample that was made.
 */
async function makeGoodSample(
  entry: SplitEntry,
  options: BatchOptions,
  iteration: number,
  position: number,
  bad: Map<string, string>,
  place: Place,
): Promise<string> {
  const { seed, recipe, replacements } = options;
  const augmentation = drawAugmentation(recipe, seed, iteration, position);
  const draws = new Draws(seed, Purpose.replacement, iteration);
  for (let chosen = entry, attempt = 0; ; attempt++) {
    try {
      await makeSample(chosen, options, augmentation, place);
      return chosen.name;
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

/**
 * Makes the batch of an iteration. Samples smaller than the crop are padded at the bottom and the right.
 * @param used Arrays of an earlier batch of the same size, to be overwritten. The system clears the pages of new ones one by one, which
 *   takes as long as resizing.
 */
export async function makeBatch(
  entries: readonly SplitEntry[],
  options: BatchOptions,
  iteration: number,
  used?: BatchArrays,
): Promise<MadeBatch> {
  const [height, width] = options.recipe.cropHw;
  const bad = new Map<string, string>();
  const names: string[] = [];
  const pixels = height * width;
  const images = used?.images ?? new Float32Array(entries.length * pixels * 3);
  const labels = used?.labels ?? new Int32Array(entries.length * pixels);
  const { first = 0 } = options;
  for (const [index, entry] of entries.entries()) {
    const place = { images, labels, pixel: index * pixels, height, width };
    names.push(await makeGoodSample(entry, options, iteration, first + index, bad, place));
  }
  return {
    batch: { count: entries.length, height, width, images, labels, names },
    bad: Array.from(bad, ([name, reason]) => ({ name, reason })),
  };
}
