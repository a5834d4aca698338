import type { EvaluationRecipe } from '../recipe/experiment.js';

/** The part of a recipe that decides the windows. */
export type InferenceMode = Pick<EvaluationRecipe, 'mode' | 'cropHw' | 'strideHw'>;

/** A rectangle of an image, in pixels. */
export interface Window {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/**
 * The windows of an image of `size`, [height, width], for the network: the whole image, or those of slide inference.
 * @throws Error if the recipe slides but has no crop or stride.
 */
export function inferenceWindows({ mode, cropHw, strideHw }: InferenceMode, size: readonly [number, number]): Window[] {
  if (mode === 'whole') return [{ top: 0, left: 0, height: size[0], width: size[1] }];
  return slideWindows(size, ...slideOf({ cropHw, strideHw }));
}

/** How many windows there are, and their [height, width]: that of the crop, or of the image where it is smaller. */
interface WindowCount {
  readonly count: number;
  readonly size: readonly [number, number];
}

/** The same windows, counted: all of them have one size. */
export function countWindows({ mode, cropHw, strideHw }: InferenceMode, size: readonly [number, number]): WindowCount {
  if (mode === 'whole') return { count: 1, size };
  const [crop, stride] = slideOf({ cropHw, strideHw });
  const count = spanCount(size[0], crop[0], stride[0]) * spanCount(size[1], crop[1], stride[1]);
  return { count, size: [Math.min(size[0], crop[0]), Math.min(size[1], crop[1])] };
}

function slideOf({ cropHw, strideHw }: Omit<InferenceMode, 'mode'>) {
  if (cropHw === null || strideHw === null) throw new Error('Slide inference needs cropHw and strideHw.');
  return [cropHw, strideHw] as const;
}

/**
 * The windows of slide inference over an image of `size`, row by row; sizes are [height, width].
 *
 * Along each axis there are ⌊max(size − crop + stride − 1, 0)/stride⌋ + 1 of them, `stride` apart; a window that would extend
 * beyond the image is shifted back inside, and one larger than the image is cut to it (not padded).
 */
export function slideWindows(
  size: readonly [number, number],
  crop: readonly [number, number],
  stride: readonly [number, number],
): Window[] {
  const rows = slideSpans(size[0], crop[0], stride[0]);
  const columns = slideSpans(size[1], crop[1], stride[1]);
  return rows.flatMap(([top, height]) => columns.map(([left, width]) => ({ top, left, height, width })));
}

/** Number of windows along one axis. */
function spanCount(size: number, crop: number, stride: number): number {
  return Math.floor(Math.max(size - crop + stride - 1, 0) / stride) + 1;
}

/** [start, length] of the windows along one axis. */
function slideSpans(size: number, crop: number, stride: number): [number, number][] {
  return Array.from({ length: spanCount(size, crop, stride) }, (_, i) => {
    const end = Math.min(i * stride + crop, size);
    const start = Math.max(end - crop, 0);
    return [start, end - start];
  });
}
