import type { PublishedFigures } from '../experiments/experiment.js';
import { loadTable, loadTables } from '../experiments/load.js';
import { UserError } from '../support/errors.js';
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

export interface ListOptions {
  readonly table?: string | undefined;
  readonly file?: string | undefined;
}

/**
 * The rows of the package, or of a file.
 * @throws UserError where there is no such table.
 */
export function listRows({ table, file }: ListOptions): ListedRow[] {
  const all = file === undefined ? loadTables() : [loadTable(file)];
  const tables = all.filter(({ name }) => table === undefined || name === table);
  if (tables.length === 0) {
    throw new UserError(`Unknown table: ${table}.`, `The tables are: ${all.map(({ name }) => name).join(', ')}.`);
  }
  return tables.flatMap(({ name, rows }) =>
    rows.map(({ id, recipe, published }) => ({
      row: id,
      table: name,
      method: recipe.method,
      backbone: recipe.backbone,
      crop: recipe.data.cropHw.join('x'),
      iterations: recipe.training.iterations,
      published,
    })),
  );
}

export function formatRows(rows: readonly ListedRow[]): string {
  return terminalTable({
    head: ['Row', 'Table', 'Method', 'Backbone', 'Crop', 'Iterations', 'mIoU', 'mIoU (ms+flip)'],
    body: rows.map(({ row, table, method, backbone, crop, iterations, published }) => [
      row,
      table,
      method,
      backbone,
      crop,
      String(iterations),
      formatFigure(published.mIoU),
      formatFigure(published.mIoUMsFlip),
    ]),
  });
}
