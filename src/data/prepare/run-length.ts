import type { LabelMap } from '../image.js';

/** Run-length encoded masks of the COCO family of annotations. */

/** A mask that is damaged or does not fit its image. */
export class RunLengthError extends Error {
  override readonly name = 'RunLengthError';
}

/** A mask as JSON annotations hold it. `size` is [height, width]. */
export interface RunLengthMask {
  readonly size: readonly [number, number];
  /** Lengths of runs, of 0 and 1 in turn, beginning with 0; or those numbers packed into text. */
  readonly counts: string | readonly number[];
}

/**
 * Unpacks the lengths of runs: each number is in groups of 5 bits, lowest first, a group a character from "0" on; bit 5 says
 * that more groups follow, bit 4 of the last one is the sign. From the fourth number on, the difference to the number two
 * places before is stored.
 */
function unpackCounts(packed: string): number[] {
  const counts: number[] = [];
  for (let at = 0; at < packed.length; ) {
    let value = 0;
    for (let shift = 0; ; shift += 5) {
      const group = packed.charCodeAt(at++) - 48;
      // 30 bits hold any run of an image; NaN is the end of the text.
      if (!(group >= 0 && group < 64) || shift > 25) throw new RunLengthError('damaged run lengths');
      value |= (group & 0x1f) << shift;
      if (group & 0x20) continue;
      if (group & 0x10) value |= -1 << (shift + 5);
      break;
    }
    if (counts.length > 2) value += counts[counts.length - 2]!;
    counts.push(value);
  }
  return counts;
}

/**
 * Sets the pixels of a mask to `value`, in a label map. The mask's runs go down the columns.
 * @throws RunLengthError where the mask is damaged or of another size.
 */
export function paintMask({ height, width, data }: LabelMap, mask: RunLengthMask, value: number): void {
  const [maskHeight, maskWidth] = mask.size;
  if (maskHeight !== height || maskWidth !== width) {
    throw new RunLengthError(`a mask of ${maskHeight}x${maskWidth} on an image of ${height}x${width}`);
  }
  const counts = typeof mask.counts === 'string' ? unpackCounts(mask.counts) : mask.counts;
  const pixels = height * width;
  let at = 0;
  for (const [index, count] of counts.entries()) {
    if (!Number.isInteger(count) || count < 0 || at + count > pixels) throw new RunLengthError('damaged run lengths');
    const end = at + count;
    if (index % 2 === 0) at = end;
    else for (; at < end; at++) data[(at % height) * width + Math.floor(at / height)] = value;
  }
  if (at !== pixels) throw new RunLengthError(`run lengths of ${at} pixels, expected ${pixels}`);
}
