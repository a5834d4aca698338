import type { Box, LabelMap, Size } from '../image.js';
import { nearestIndices } from '../transforms/resize.js';
import { decodePixels, type StoredPixels } from './png.js';
import type { Workspace } from './workspace.js';

/** A whole label map in a workspace. */
export interface PlacedLabels extends Size {
  /** Where the stored values are: [height, width]. */
  readonly pixels: number;
  /** Training id of each value; `INVALID_LABEL` of those that do not occur. */
  readonly ids: Int16Array;
}

/** A copy of a label map of training ids in a workspace. */
export function placeLabels(workspace: Workspace, { height, width, data }: LabelMap): PlacedLabels {
  return { height, width, pixels: workspace.place(data), ids: Int16Array.from({ length: 256 }, (_, id) => id) };
}

/** A compressed label map. */
export interface StoredLabels extends StoredPixels {
  /** Training id of each value; negative: not allowed. */
  readonly ids: Int16Array;
}

/** Decodes a label map. Null if it is damaged or holds a value that is not allowed. */
export function decodePlacedLabels(workspace: Workspace, stored: StoredLabels): PlacedLabels | null {
  const { height, width, ids } = stored;
  const pixels = decodePixels(workspace, stored);
  if (pixels === null) return null;
  const seen = workspace.place(new Uint8Array(256));
  workspace.code.markValues(pixels, height * width, seen);
  const { bytes } = workspace;
  return ids.some((id, value) => id < 0 && bytes[seen + value] === 1) ? null : { height, width, pixels, ids };
}

/** How often each training id occurs in a box of labels resized to `size`. */
export function countIds(workspace: Workspace, labels: PlacedLabels, size: Size, box: Box): Uint32Array {
  const { pixels, ids } = labels;
  const columns = workspace.place(nearestIndices(labels.width, size.width, box.left, box.width));
  const rows = nearestIndices(labels.height, size.height, box.top, box.height);
  const counts = workspace.place(new Uint32Array(256));
  for (let y = 0; y < box.height; ) {
    const row = rows[y]!;
    let times = 1;
    while (rows[y + times] === row) times++;
    workspace.code.countLabels(pixels + row * labels.width, columns, box.width, times, counts);
    y += times;
  }
  const counted = new Uint32Array(256);
  for (const [value, count] of workspace.integers(counts, 256).entries()) if (count > 0) counted[ids[value]!]! += count;
  return counted;
}

/** Writes the training ids in a box of labels resized to `size` to rows of `target`. */
export function writeIds(
  workspace: Workspace,
  labels: PlacedLabels,
  { size, window, isMirrored }: { readonly size: Size; readonly window: Box; readonly isMirrored: boolean },
  target: Int32Array,
  offset: number,
  targetWidth: number,
): void {
  const { width, height } = window;
  const indices = nearestIndices(labels.width, size.width, window.left, width);
  const columns = workspace.place(isMirrored ? indices.reverse() : indices);
  const rows = nearestIndices(labels.height, size.height, window.top, height);
  const ids = workspace.place(Int32Array.from(labels.ids));
  const row = workspace.reserve(width * 4);
  const values = workspace.integers(row, width);
  for (let y = 0; y < height; y++) {
    if (y === 0 || rows[y] !== rows[y - 1]) {
      workspace.code.takeLabels(labels.pixels + rows[y]! * labels.width, columns, width, ids, row);
    }
    target.set(values, offset + y * targetWidth);
  }
}
