import { type Box, type RgbImage, type Size, wholeBox } from '../image.js';
import { columnTaps, isHalf, linearTaps } from '../transforms/resize.js';
import type { Workspace } from './workspace.js';

/** A part of an image in a workspace. */
export interface WorkspaceImage {
  /** Where the pixels of `box` are: [height, width, 3]. */
  readonly pixels: number;
  /** The part of the image that is there. */
  readonly box: Box;
  /** Of the whole image. */
  readonly size: Size;
}

/** A copy of a whole image in a workspace. */
export function placeImage(workspace: Workspace, image: RgbImage): WorkspaceImage {
  return { pixels: workspace.place(image.data), box: wholeBox(image), size: image };
}

const clamp = (value: number, last: number): number => Math.min(Math.max(value, 0), last);

/** The part of an image of size `source` of which a window of it, resized to `size`, is made. */
export function sourceBox(source: Size, size: Size, window: Box): Box {
  if (isHalf(source, size)) {
    const { top, left, height, width } = window;
    return { top: top * 2, left: left * 2, height: height * 2, width: width * 2 };
  }
  const { low: columns, high } = columnTaps(source.width, size.width, window.left, window.width);
  const { low: rows } = linearTaps(source.height, size.height, window.top, window.height);
  const top = clamp(rows[0]!, source.height - 1);
  const left = columns[0]! / 3;
  return {
    top,
    left,
    height: clamp(rows.at(-1)! + 1, source.height - 1) + 1 - top,
    width: high.at(-1)! / 3 + 1 - left,
  };
}

/** The window of a resized image that is wanted. */
interface Target {
  /** Of the whole resized image. */
  readonly size: Size;
  readonly window: Box;
  /** Whether its rows are mirrored left to right. */
  readonly isMirrored: boolean;
}

/**
 * Makes the rows of a window of a resized image one after the other, exactly as `resizeBilinear` does.
 * @param onRow Gets each row: where its RGB pixels are, which it may change.
 */
export function resizeRows(
  workspace: Workspace,
  { pixels, box, size: source }: WorkspaceImage,
  { size, window, isMirrored }: Target,
  onRow: (row: number, y: number) => void,
): void {
  const { code } = workspace;
  const { width, height } = window;
  const stride = box.width * 3;
  const row = workspace.reserve(width * 3);
  const rowAt = (y: number) => pixels + (y - box.top) * stride;
  const placeOffsets = (offsetOf: (x: number) => number) =>
    workspace.place(Uint32Array.from({ length: width }, (_, x) => offsetOf(isMirrored ? width - 1 - x : x)));

  if (isHalf(source, size)) {
    const offsets = placeOffsets((x) => ((window.left + x) * 2 - box.left) * 3);
    for (let y = 0; y < height; y++) {
      const upper = (window.top + y) * 2;
      code.halveRows(rowAt(upper), rowAt(upper + 1), offsets, row, width);
      onRow(row, y);
    }
    return;
  }

  const columns = columnTaps(source.width, size.width, window.left, width);
  const rows = linearTaps(source.height, size.height, window.top, height);
  const offsets = placeOffsets((x) => columns.low[x]! - box.left * 3);
  const weights = placeOffsets((x) => columns.lowWeight[x]! | (columns.highWeight[x]! << 16));
  // Horizontal sums of the last two source rows: neighbouring output rows share them.
  const kept = [workspace.reserve(width * 6), workspace.reserve(width * 6)] as const;
  const keptRow = [-1, -1];
  const sumsOf = (y: number, neighbour: number): number => {
    if (keptRow[0] === y) return kept[0];
    if (keptRow[1] === y) return kept[1];
    const slot = keptRow[0] === neighbour ? 1 : 0;
    keptRow[slot] = y;
    code.sumColumns(rowAt(y), offsets, weights, kept[slot], width);
    return kept[slot];
  };
  const lastRow = source.height - 1;
  for (let y = 0; y < height; y++) {
    const upperRow = clamp(rows.low[y]!, lastRow);
    const lowerRow = clamp(rows.low[y]! + 1, lastRow);
    const upper = sumsOf(upperRow, lowerRow);
    const lower = sumsOf(lowerRow, upperRow);
    code.blendRows(upper, lower, rows.lowWeight[y]!, rows.highWeight[y]!, row, width * 3);
    onRow(row, y);
  }
}
