/** A rectangle of an image, in pixels. */
export interface Window {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** The one window of whole-image inference. */
export function wholeWindow([height, width]: readonly [number, number]): Window[] {
  return [{ top: 0, left: 0, height, width }];
}

/**
 * The windows of slide inference over an image of `size`, row by row; sizes are [height, width].
 *
 * Along each axis there are ⌊max(size − crop + stride − 1, 0)/stride⌋ + 1 of them, `stride` apart; one that would stick
 * out is shifted back inside, and one larger than the image is cut to it (not padded).
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

/** [start, length] of the windows along one axis. */
function slideSpans(size: number, crop: number, stride: number): [number, number][] {
  const count = Math.floor(Math.max(size - crop + stride - 1, 0) / stride) + 1;
  return Array.from({ length: count }, (_, i) => {
    const end = Math.min(i * stride + crop, size);
    const start = Math.max(end - crop, 0);
    return [start, end - start];
  });
}
