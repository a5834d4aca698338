import { IGNORE_INDEX } from '../batch.js';
import type { Size } from '../image.js';

/**
 * Label ids, [height, width], with the pixels on both sides of every edge ignored, as VOC's annotators left them.
 * @param reach Pixels from the edge on each side.
 */
export function ignoreOutlines(ids: Uint8Array, { height, width }: Size, reach: number): Uint8Array {
  const outlined = ids.slice();
  for (let y = 0; y < height; y++) {
    const above = Math.max(y - reach, 0) * width;
    const below = Math.min(y + reach, height - 1) * width;
    for (let x = 0; x < width; x++) {
      const id = ids[y * width + x];
      const left = y * width + Math.max(x - reach, 0);
      const right = y * width + Math.min(x + reach, width - 1);
      const isInside = ids[above + x] === id && ids[below + x] === id && ids[left] === id && ids[right] === id;
      if (!isInside) outlined[y * width + x] = IGNORE_INDEX;
    }
  }
  return outlined;
}
