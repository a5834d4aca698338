import { type Box, IGNORE_INDEX, type LabelMap, type Size } from '../image.js';
import { resizeNearest } from './resize.js';

/** Boxes whose labels are checked; the next one is taken unchecked. */
const CHECKED_BOXES = 10;

/** Whether several of the 256 training ids occur and the most frequent covers less than `maximumRatio` of the labelled pixels. */
function isVaried(counts: Uint32Array, maximumRatio: number): boolean {
  let classes = 0;
  let labelled = 0;
  let largest = 0;
  for (const [id, count] of counts.entries()) {
    if (count === 0 || id === IGNORE_INDEX) continue;
    classes++;
    labelled += count;
    if (count > largest) largest = count;
  }
  return classes > 1 && largest / labelled < maximumRatio;
}

function countIds(labels: LabelMap): Uint32Array {
  const counts = new Uint32Array(256);
  for (const id of labels.data) counts[id]!++;
  return counts;
}

interface CropRule {
  readonly cropHw: readonly [number, number];
  /** Most of the labelled pixels that one class may cover; 1 takes the first box. */
  readonly maximumRatio: number;
}

/** Returns a uniform integer in [0, margin]; `axisDraw` counts the draws: rows, then columns. */
type CropDraw = (axisDraw: number, margin: number) => number;

/**
 * Chooses where to crop an image resized to `size`. Draws up to ten boxes until the labels in one are varied enough, and otherwise
 * takes the eleventh unchecked.
 * @param countsIn How often each training id occurs in a box.
 */
export function chooseBox(
  size: Size,
  { cropHw, maximumRatio }: CropRule,
  draw: CropDraw,
  countsIn: (box: Box) => Uint32Array,
): Box {
  const marginRows = Math.max(size.height - cropHw[0], 0);
  const marginColumns = Math.max(size.width - cropHw[1], 0);
  for (let attempt = 0; ; attempt++) {
    const top = draw(2 * attempt, marginRows);
    const left = draw(2 * attempt + 1, marginColumns);
    // An image smaller than the crop stays smaller.
    const height = Math.min(cropHw[0], size.height - top);
    const width = Math.min(cropHw[1], size.width - left);
    const box = { top, left, height, width };
    if (maximumRatio >= 1 || attempt === CHECKED_BOXES || isVaried(countsIn(box), maximumRatio)) return box;
  }
}

/**
 * Chooses a box as `chooseBox` does.
 * @param labels In their own size, not yet resized.
 * @returns The box and the resized labels in it.
 */
export function chooseCrop(
  labels: LabelMap,
  size: Size,
  rule: CropRule,
  draw: CropDraw,
): { box: Box; labels: LabelMap } {
  let last: { readonly box: Box; readonly labels: LabelMap } | null = null;
  const crop = (box: Box): LabelMap => {
    if (last?.box !== box) last = { box, labels: resizeNearest(labels, size, box) };
    return last.labels;
  };
  const box = chooseBox(size, rule, draw, (tried) => countIds(crop(tried)));
  return { box, labels: crop(box) };
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
