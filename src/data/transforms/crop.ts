import { type Box, IGNORE_INDEX, type LabelMap, type Size } from '../image.js';
import { resizeNearest } from './resize.js';

/** Boxes whose labels are checked; the next one is taken unchecked. */
const CHECKED_BOXES = 10;

/** Whether the labels hold several classes and the largest covers less than `maximumRatio` of the labelled pixels. */
function isVaried(labels: LabelMap, maximumRatio: number): boolean {
  const counts = new Uint32Array(256);
  for (const value of labels.data) counts[value]!++;
  counts[IGNORE_INDEX] = 0;
  let classes = 0;
  let labelled = 0;
  let largest = 0;
  for (const count of counts) {
    if (count === 0) continue;
    classes++;
    labelled += count;
    if (count > largest) largest = count;
  }
  return classes > 1 && largest / labelled < maximumRatio;
}

interface CropRule {
  readonly cropHw: readonly [number, number];
  /** Most of the labelled pixels that one class may cover; 1 takes the first box. */
  readonly maximumRatio: number;
}

/**
 * Chooses where to crop an image resized to `size`. Draws up to ten boxes until the labels in one are varied enough, and otherwise
 * takes the eleventh unchecked.
 * @param labels In their own size, not yet resized.
 * @param draw Returns a uniform integer in [0, margin]; `axisDraw` counts the draws: rows, then columns.
 * @returns The box and the resized labels in it.
 */
export function chooseCrop(
  labels: LabelMap,
  size: Size,
  { cropHw, maximumRatio }: CropRule,
  draw: (axisDraw: number, margin: number) => number,
): { box: Box; labels: LabelMap } {
  const marginRows = Math.max(size.height - cropHw[0], 0);
  const marginColumns = Math.max(size.width - cropHw[1], 0);
  for (let attempt = 0; ; attempt++) {
    const top = draw(2 * attempt, marginRows);
    const left = draw(2 * attempt + 1, marginColumns);
    // An image smaller than the crop stays smaller.
    const height = Math.min(cropHw[0], size.height - top);
    const width = Math.min(cropHw[1], size.width - left);
    const box = { top, left, height, width };
    const cropped = resizeNearest(labels, size, box);
    if (maximumRatio >= 1 || attempt === CHECKED_BOXES || isVaried(cropped, maximumRatio)) {
      return { box, labels: cropped };
    }
  }
}

/** Mirrors rows left to right, in place: `data` is [height, width, channels]. */
export function flipHorizontally(data: Uint8Array, width: number, channels: 1 | 3): void {
  const rowValues = width * channels;
  for (let base = 0; base < data.length; base += rowValues) {
    for (let left = base, right = base + rowValues - channels; left < right; left += channels, right -= channels) {
      for (let channel = 0; channel < channels; channel++) {
        const swapped = data[left + channel]!;
        data[left + channel] = data[right + channel]!;
        data[right + channel] = swapped;
      }
    }
  }
}
