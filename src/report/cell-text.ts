import type { Cell, RecordReference } from './cell.js';
import type { Piece, Text } from './document.js';
import { formatFigure } from './figures.js';
import { hardwareMarks, marksOf } from './marks.js';

/** Where a file is linked to from the document; undefined where it cannot be. */
export type LinkTo = (file: string) => string | undefined;

/** What stands for a figure that was never published. */
export const NEVER_PUBLISHED = 'none';

export function publishedText({ published }: Pick<Cell, 'published'>): string {
  return published === null ? NEVER_PUBLISHED : formatFigure(published);
}

/** "+0.36", "−1.20". */
export function signed(difference: number): string {
  const rounded = Math.abs(difference).toFixed(2);
  if (Number(rounded) === 0) return `±${rounded}`;
  return `${difference > 0 ? '+' : '−'}${rounded}`;
}

/** How the reproduced figure lies to the published one: "+0.36" of mIoU, "×0.12" of memory and fps. */
export function comparison({ difference, ratio, hardware }: Cell): string | null {
  if (difference === null || ratio === null) return null;
  return hardware === null ? signed(difference) : `×${ratio.toFixed(2)}`;
}

/** A piece of text that links to a record, where it has a file. */
export function recordPiece(text: string, { file }: Pick<RecordReference, 'file'>, linkTo: LinkTo): Piece {
  const href = file === null ? undefined : linkTo(file);
  return href === undefined ? { text } : { text, href };
}

/** The seeds of several runs, each with its record. */
export function seedPieces(runs: readonly Omit<RecordReference, 'run'>[], linkTo: LinkTo): Piece[] {
  return runs.flatMap((run, i) => [...(i === 0 ? [] : [{ text: ', ' }]), recordPiece(String(run.seed), run, linkTo)]);
}

/** Raised numbers for the hardware of a table's figures, where they are of more than one. */
export function hardwareOfCells(cells: readonly Cell[]): ReadonlyMap<string, string> {
  return hardwareMarks(cells.map(({ hardware }) => hardware));
}

/**
 * Published / reproduced, then difference or ratio and verdict: "72.25 / 72.61 (+0.36, reproduced)", and marks.
 * @param hardware The raised number of each hardware.
 */
export function cellText(cell: Cell, linkTo: LinkTo, hardware: ReadonlyMap<string, string> = new Map()): Text {
  const { reproduced, deviation, records, verdict } = cell;
  const published = `${publishedText(cell)} / `;
  if (reproduced === null) return [{ text: `${published}–` }];
  const said = [comparison(cell), verdict].filter((word) => word !== null).join(', ');
  const marks = `${hardware.get(cell.hardware ?? '') ?? ''}${marksOf(cell)}`;
  const mark = marks === '' ? '' : ` ${marks}`;
  if (records.length > 1) {
    const mean =
      deviation === null ? formatFigure(reproduced) : `${formatFigure(reproduced)} ± ${deviation.toFixed(2)}`;
    return [
      { text: `${published}${mean} (${said === '' ? '' : `${said}; `}n = ${records.length}: ` },
      ...seedPieces(records, linkTo),
      { text: `)${mark}` },
    ];
  }
  const after = `${said === '' ? '' : ` (${said})`}${mark}`;
  return [
    { text: published },
    recordPiece(formatFigure(reproduced), records[0]!, linkTo),
    ...(after === '' ? [] : [{ text: after }]),
  ];
}
