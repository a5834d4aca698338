import type { PublishedFigures } from '../experiments/experiment.js';
import { type Selection, selectRows, tablesOf } from '../experiments/select.js';
import { FIGURES } from './figures.js';
import { formatFigure, terminalTable } from './layout.js';

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

/** The rows of each table under its name. */
export function formatRows(rows: readonly ListedRow[]): string {
  const tables = [...new Set(rows.map(({ table }) => table))];
  return tables
    .map((name) => {
      const inTable = rows.filter(({ table }) => table === name);
      const lines = {
        head: ['Row', 'Method', 'Backbone', 'Crop', 'Iterations', 'Mem (GB)', 'fps', 'mIoU', 'ms+flip'],
        body: inTable.map(({ row, method, backbone, crop, iterations, published }) => [
          row,
          method,
          backbone,
          crop,
          String(iterations),
          // In the order of the headings.
          ...FIGURES.map((figure) => formatFigure(published[figure])),
        ]),
      };
      return `${name}: ${inTable.length} ${inTable.length === 1 ? 'row' : 'rows'}\n${terminalTable(lines)}`;
    })
    .join('\n\n');
}
