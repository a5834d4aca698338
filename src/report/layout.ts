import Table from 'cli-table3';

export { formatFigure, formatSmallFigure } from './figures.js';

/** Rows of cells under a heading, as every layout takes them. */
export interface Lines {
  readonly head: readonly string[];
  readonly body: readonly (readonly string[])[];
}

/** A table with borders for a terminal. Without colours: they would add nothing. */
export function terminalTable({ head, body }: Lines): string {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  table.push(...body.map((cells) => [...cells]));
  return table.toString();
}

/** A table in GitHub's markdown. */
export function markdownTable({ head, body }: Lines): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
