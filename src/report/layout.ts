import Table from 'cli-table3';

export { formatFigure, formatSmallFigure } from './figures.js';

/** Rows of cells under a heading, as every layout takes them. */
export interface Lines {
  readonly head: readonly string[];
  readonly body: readonly (readonly string[])[];
}

/**
 * Widths of columns, without borders and padding, that fit a table into a width: the widest give way first.
 * @returns Null where all fit as they are.
 */
function fittingWidths({ head, body }: Lines, width: number): number[] | null {
  const widths = head.map((_, i) => Math.max(...[head, ...body].map((cells) => cells[i]!.length)));
  // A blank on either side of each, borders between them and at the ends.
  const room = width - 3 * widths.length - 1;
  const narrowed = [...widths];
  for (let over = widths.reduce((sum, one) => sum + one, 0) - room; over > 0; over--) {
    const widest = narrowed.indexOf(Math.max(...narrowed));
    if (narrowed[widest]! <= 1) break;
    narrowed[widest]!--;
  }
  return narrowed.some((one, i) => one < widths[i]!) ? narrowed : null;
}

/**
 * A table with borders for a terminal. Without colours: they would add nothing.
 * @param width Columns of the terminal, in which longer cells go on in the next line; as wide as it gets if not given.
 */
export function terminalTable({ head, body }: Lines, width?: number): string {
  const widths = width === undefined ? null : fittingWidths({ head, body }, width);
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    ...(widths && { colWidths: widths.map((one) => one + 2), wordWrap: true, wrapOnWordBoundary: false }),
  });
  table.push(...body.map((cells) => [...cells]));
  return table.toString();
}
