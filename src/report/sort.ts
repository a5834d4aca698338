import type { TableRow } from './table.js';

/** What the rows of a table can be ordered by; `published`: as they were published. */
export const SORT_KEYS = [
  'published',
  'row',
  'backbone',
  'memory',
  'fps',
  'mIoU',
  'ms+flip',
  'here',
  'difference',
] as const;
export type SortKey = (typeof SORT_KEYS)[number];

/** The smaller the earlier; null comes last. */
const VALUES: Readonly<Record<Exclude<SortKey, 'published'>, (row: TableRow) => number | string | null>> = {
  row: ({ row }) => row,
  backbone: ({ backbone }) => backbone,
  memory: ({ cells }) => cells.memoryGB.published,
  fps: ({ cells }) => negative(cells.fps.published),
  mIoU: ({ cells }) => negative(cells.mIoU.published),
  'ms+flip': ({ cells }) => negative(cells.mIoUMsFlip.published),
  here: ({ cells }) => negative(cells.mIoU.reproduced),
  difference: ({ cells }) => negative(cells.mIoU.difference),
};

function negative(value: number | null): number | null {
  return value === null ? null : -value;
}

/** Rows in another order; rows that are equal in it stay as they were. */
export function sortRows(rows: readonly TableRow[], key: SortKey): TableRow[] {
  if (key === 'published') return [...rows];
  const value = VALUES[key];
  return [...rows].sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    return left < right ? -1 : Number(left > right);
  });
}
