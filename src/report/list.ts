import type { PublishedFigures } from '../experiments/experiment.js';
import { type Selection, selectRows, tablesOf } from '../experiments/select.js';
import { formatNumber } from '../support/format.js';
import { fitColumns, leftOutNote } from './columns.js';
import { FIGURE_COLUMNS, FIGURES, formatFigure } from './figures.js';
import { type Lines, terminalTable } from './layout.js';
import { wrap } from './wrap.js';

/** A row as fcn list shows it. */
export interface ListedRow {
  readonly row: string;
  readonly table: string;
  readonly method: string;
  readonly backbone: string;
  readonly crop: string;
  readonly iterations: number;
  readonly published: PublishedFigures;
}

/**
 * The rows of a selection; where it names nothing, all of the package or of the file, local ones too.
 * @throws UserError where there is no such row or table.
 */
export function listRows({ patterns = [], table, file }: Selection): ListedRow[] {
  const everything = patterns.length === 0 && table === undefined;
  const rows = everything ? tablesOf(file).flatMap((inTable) => inTable.rows) : selectRows({ patterns, table, file });
  return rows.map((row) => ({
    row: row.id,
    table: row.table.name,
    method: row.recipe.method,
    backbone: row.recipe.backbone,
    crop: row.recipe.data.cropHw.join('x'),
    iterations: row.recipe.training.iterations,
    published: row.published,
  }));
}

const WORDS = ['Row', 'Method', 'Backbone', 'Crop', 'Iterations'];
/** What a narrow terminal can do without, as the row's name says it. */
const SPARE = ['Iterations', 'Crop', 'Method', 'Backbone'];

function linesOf(rows: readonly ListedRow[]): Lines {
  return {
    head: [...WORDS, ...FIGURE_COLUMNS],
    body: rows.map(({ row, method, backbone, crop, iterations, published }) => [
      row,
      method,
      backbone,
      crop,
      String(iterations),
      ...FIGURES.map((figure) => formatFigure(published[figure])),
    ]),
  };
}

/**
 * The rows of each table under its name, a line a row.
 * @param width Most characters of a line; where it is not given, all columns are shown, with borders.
 */
export function formatRows(rows: readonly ListedRow[], width?: number): string {
  const leftOut = new Set<string>();
  const format = (lines: Lines): string => {
    if (width === undefined) return terminalTable(lines);
    const fitted = fitColumns([lines.head, ...lines.body], { words: WORDS.length, width, spare: SPARE });
    for (const head of fitted.leftOut) leftOut.add(head);
    return fitted.lines.join('\n');
  };
  const parts = [...new Set(rows.map(({ table }) => table))].map((name) => {
    const inTable = rows.filter(({ table }) => table === name);
    return `${name}: ${formatNumber(inTable.length, 'row')}\n${format(linesOf(inTable))}`;
  });
  if (width !== undefined && leftOut.size > 0) {
    const heads = WORDS.filter((head) => leftOut.has(head));
    parts.push(wrap(leftOutNote(heads, width), width).join('\n'));
  }
  return parts.join('\n\n');
}
