import { findTable, selectRows, tablesOf } from '../../recipe/select.js';
import { FIGURES } from '../../records/figures.js';
import type { OnBroken } from '../../records/folder.js';
import { RunCatalogue } from '../../runs/catalogue.js';
import { UserError } from '../../support/errors.js';
import type { ReportOptions } from '../report.js';
import type { SortKey } from '../rows.js';
import { type Leaderboard, makeLeaderboard } from './leaderboard.js';

interface OwnOptions extends Omit<ReportOptions, 'file'> {
  readonly file: readonly string[];
}

/** The order of a leaderboard that an order of rows means. @throws UserError if it needs published figures. */
function sortOf(sort: SortKey = 'here'): string {
  if (sort === 'published' || sort === 'here') return 'mIoU';
  if (sort !== 'backbone' && sort !== 'difference') return sort;
  throw new UserError(
    `--sort ${sort} orders published rows, and nothing is published here.`,
    'Use row, memory, fps, mIoU or ms+flip; fcn runs table --sort also takes values of the recipe.',
  );
}

/**
 * The leaderboard of the runs of experiment files; null if one of their rows has published figures.
 * @throws UserError for an unknown row or table, or an order that needs published figures.
 */
export async function ownLeaderboard(options: OwnOptions, onBroken: OnBroken): Promise<Leaderboard | null> {
  const { file, table, rows: patterns = [], profile, sort, results, runs } = options;
  const tables = tablesOf(file);
  const publishes = tables.some((one) => one.rows.some(({ published }) => FIGURES.some((f) => published[f] !== null)));
  if (publishes) return null;
  const named = table === undefined ? tables : [findTable(tables, table)];
  const rows = patterns.length === 0 ? named.flatMap((one) => one.rows) : selectRows({ patterns, table, file });
  const known = await new RunCatalogue({ results, runs }, onBroken).all();
  return makeLeaderboard(known, known, { rows, profile, sort: sortOf(sort) });
}
