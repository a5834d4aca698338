import { stringify } from 'csv-stringify/sync';
import { FIGURES } from './figures.js';
import { otherGroups } from './other-groups.js';
import type { Report } from './table.js';

const COLUMNS = [
  'section',
  'row',
  'figure',
  'published',
  'reproduced',
  'deviation',
  'n',
  'difference',
  'ratio',
  'verdict',
  'tolerance',
  'tolerance from',
  'profile',
  'hardware',
  'note',
  'records',
] as const;

type Line = Partial<Record<(typeof COLUMNS)[number], string | number | null>>;

/** A line a figure, so that a spreadsheet can filter; `section` keeps what compares with nothing apart. */
export function reportCsv({ tables, otherRuns }: Report): string {
  const published = tables.flatMap(({ table, rows }) =>
    rows.flatMap(({ row, cells }) =>
      FIGURES.map((figure): Line => {
        const { tolerance, records, ...cell } = cells[figure];
        return {
          section: table,
          row,
          figure,
          ...cell,
          run: undefined,
          givenWeights: undefined,
          n: records.length,
          tolerance: tolerance?.value ?? null,
          'tolerance from': tolerance?.source ?? null,
          profile: records.length === 0 ? null : 'full',
          note: cell.givenWeights ? 'given weights' : null,
          records: records.map(({ run, file }) => file ?? run).join(' '),
        } as Line;
      }),
    ),
  );
  const others = otherGroups(otherRuns).flatMap(({ title, reason, runs }) =>
    runs.flatMap(({ row, run, file, profile, figures, hardware }) =>
      FIGURES.map(
        (figure): Line => ({
          section: title,
          row,
          figure,
          reproduced: figures[figure],
          n: figures[figure] === null ? 0 : 1,
          profile,
          hardware,
          note: reason,
          records: figures[figure] === null ? null : (file ?? run),
        }),
      ),
    ),
  );
  return stringify([...published, ...others], { header: true, columns: [...COLUMNS] }).trimEnd();
}
