import { FIGURE_HEADINGS, FIGURES } from '../records/figures.js';
import { type Cell, hardwareOfCells, markNotes } from './cell.js';
import type { PublishedTable } from './table.js';

/** All cells of a table, row by row. */
export function cellsOf({ rows }: PublishedTable): Cell[] {
  return rows.flatMap(({ cells }) => FIGURES.map((figure) => cells[figure]));
}

/** How many figures of each kind a table never had. */
function neverPublished({ rows }: PublishedTable): string | null {
  const counts = FIGURES.map((figure) => ({
    figure,
    count: rows.filter(({ cells }) => cells[figure].published === null).length,
  })).filter(({ count }) => count > 0);
  if (counts.length === 0) return null;
  return `none: never published (${counts.map(({ figure, count }) => `${count} × ${FIGURE_HEADINGS[figure]}`).join(', ')}).`;
}

function toleranceNote({ tolerance }: PublishedTable): string[] {
  if (tolerance === null) return [];
  const { mIoU, mIoUMsFlip, reason } = tolerance;
  const points = mIoU === mIoUMsFlip ? `±${mIoU}` : `±${mIoU} (ms+flip ±${mIoUMsFlip})`;
  return [`mIoU is reproduced within ${points} of the published figure (${reason}).`];
}

/** What a figure of memory or speed is judged by: only on the hardware of the published one. */
function hardwareNote({ hardware }: PublishedTable): string[] {
  if (hardware === null) return [];
  const { name, tolerance, reason } = hardware;
  return [
    `The published memory and fps are of a ${name}. On a ${name} they are reproduced within ±${Number((100 * tolerance).toPrecision(3))} % (${reason}); other hardware gets a ratio and no verdict.`,
  ];
}

/**
 * What has to be said below a published table: how to read it, what its verdicts rest on, what was measured on what.
 * @param howToRead How the layout sets the two figures side by side.
 */
export function notesOf(table: PublishedTable, howToRead: string): string[] {
  const cells = cellsOf(table);
  const { file } = table;
  const marks = hardwareOfCells(cells);
  const here = [...new Set(cells.flatMap((cell) => cell.hardware ?? []))].map((name) =>
    [marks.get(name), name].filter((part) => part !== undefined).join(' '),
  );
  const run = table.rows.filter(({ cells }) => FIGURES.some((figure) => cells[figure].reproduced !== null)).length;
  const never = neverPublished(table);
  return [
    ...(file === null ? [] : [`Published figures as ${file} gives them; fcn itself has none of them.`]),
    `${howToRead} –: not run. ${run} of ${table.rows.length} rows have a record.`,
    ...(never === null ? [] : [never]),
    ...toleranceNote(table),
    ...(here.length === 0 ? [] : [`Memory and fps here: ${here.join('; ')}.`]),
    ...hardwareNote(table),
    ...markNotes(cells),
  ];
}
