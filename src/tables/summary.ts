import { FIGURES } from '../records/figures.js';
import type { Verdict } from '../records/verdict.js';
import { formatNumber } from '../support/format.js';
import { fitColumns, wrap } from '../terminal/layout.js';
import type { PublishedTable, Report } from './table.js';

/** How many rows of a published table were measured here, and the verdicts on their single-scale mIoU. */
interface TableSummary {
  readonly table: string;
  readonly rows: number;
  readonly measured: number;
  readonly verdicts: Readonly<Record<'reproduced' | 'above' | 'below', number>>;
}

function summarizeTable({ table, rows }: PublishedTable): TableSummary {
  const measured = rows.filter(({ cells }) => FIGURES.some((figure) => cells[figure].reproduced !== null));
  const count = (verdict: Verdict) => measured.filter(({ cells }) => cells.mIoU.verdict === verdict).length;
  const verdicts = { reproduced: count('reproduced'), above: count('above'), below: count('below') };
  return { table, rows: rows.length, measured: measured.length, verdicts };
}

/**
 * A line for each published table, and the number of runs that compare with nothing published: fits a screen.
 * @param width Maximum characters in a line.
 */
export function formatSummary({ tables, otherRuns }: Report, width: number): string {
  const summaries = tables.map(summarizeTable);
  const lines = summaries.map(({ table, rows, measured, verdicts: { reproduced, above, below } }) => [
    table,
    ...[rows, measured, reproduced, above, below].map(String),
  ]);
  const fitted = fitColumns([['Table', 'Rows', 'Measured', 'Reproduced', 'Above', 'Below'], ...lines], {
    words: 1,
    width,
    spare: ['Below', 'Above'],
  });
  const ofProfile = (isSmoke: boolean) => otherRuns.filter(({ profile }) => (profile === 'smoke') === isSmoke).length;
  const others = [
    `${formatNumber(ofProfile(true), 'smoke run')} and ${formatNumber(ofProfile(false), 'local run')} compare with nothing published.`,
    'fcn table --table NAME shows one table, fcn runs table the runs.',
  ];
  return [...(tables.length === 0 ? [] : [...fitted.lines, '']), ...others.flatMap((text) => wrap(text, width))].join(
    '\n',
  );
}
