import { stringify } from 'csv-stringify/sync';
import { dependsOnHardware, FIGURE_HEADINGS, FIGURES } from '../records/verdict.js';
import { withoutNoise } from '../support/format.js';
import type { Marked } from './cell.js';
import { otherGroups } from './notes.js';
import type { Report } from './table.js';

/** Columns of the original for the row, then the figure, then its source. */
const COLUMNS = [
  'section',
  'Method',
  'Backbone',
  'Crop Size',
  'Lr schd',
  'row',
  'seed',
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
  'config',
  'model',
  'log',
] as const;

type Line = Partial<Record<(typeof COLUMNS)[number], string | number | null>>;

const rounded = (value: number | null) => (value === null ? null : withoutNoise(value));

function noteOf(...parts: readonly (string | false)[]): string | null {
  return parts.filter((part) => part !== false && part !== '').join('; ') || null;
}

/** What the note of a line says of given weights; false of others. */
function weightsNote({ givenWeights, weightsOf }: Omit<Marked, 'continued'>): string | false {
  return givenWeights && (weightsOf === undefined ? 'given weights' : `weights of ${weightsOf}`);
}

/** A line for each figure, so that a spreadsheet can filter; `section` separates published tables from other runs. */
export function reportCsv({ tables, otherRuns, spreads }: Report): string {
  const published = tables.flatMap(({ table, rows }) =>
    rows.flatMap(({ row, method, backbone, crop, iterations, config, weights, log, cells }) =>
      FIGURES.map((figure): Line => {
        const { records, tolerance, ...cell } = cells[figure];
        return {
          section: table,
          Method: method,
          Backbone: backbone,
          'Crop Size': crop,
          'Lr schd': iterations,
          row,
          seed: records.map(({ seed }) => seed).join(' '),
          figure: FIGURE_HEADINGS[figure],
          published: cell.published,
          reproduced: rounded(cell.reproduced),
          deviation: rounded(cell.deviation),
          n: records.length,
          difference: rounded(cell.difference),
          ratio: rounded(cell.ratio),
          verdict: cell.verdict,
          tolerance: rounded(tolerance?.value ?? null),
          'tolerance from': tolerance?.source ?? null,
          profile: records.length === 0 ? null : 'full',
          hardware: cell.hardware,
          note: noteOf(weightsNote(cell), cell.continued && 'continued'),
          records: records.map(({ run, file }) => file ?? run).join(' '),
          config,
          model: weights,
          log,
        };
      }),
    ),
  );
  const others = otherGroups(otherRuns).flatMap(({ label, reason, runs }) =>
    runs.flatMap(({ row, run, seed, file, profile, figures, hardware, continued, validation, ...weights }) =>
      FIGURES.map(
        (figure): Line => ({
          section: label,
          row,
          seed,
          figure: FIGURE_HEADINGS[figure],
          reproduced: rounded(figures[figure]),
          n: figures[figure] === null ? 0 : 1,
          profile,
          hardware,
          note: noteOf(
            reason,
            !dependsOnHardware(figure) && weightsNote(weights),
            continued && 'continued',
            validation !== null && figure === 'mIoU' && `validation after iteration ${validation.iteration}`,
          ),
          records: figures[figure] === null ? null : (file ?? run),
        }),
      ),
    ),
  );
  const overSeeds = spreads.flatMap(({ row, profile, changes, seeds, runs, figures }) =>
    FIGURES.map(
      (figure): Line => ({
        section: 'Over seeds',
        row,
        seed: seeds.join(' '),
        figure: FIGURE_HEADINGS[figure],
        reproduced: rounded(figures[figure]?.mean ?? null),
        deviation: rounded(figures[figure]?.deviation ?? null),
        n: figures[figure] === null ? 0 : runs.length,
        profile,
        note: noteOf(changes.join(', ')),
        records: runs.map(({ run, file }) => file ?? run).join(' '),
      }),
    ),
  );
  const lines = [...published, ...others, ...overSeeds];
  return stringify(lines, { header: true, columns: [...COLUMNS], cast: { string: asText } }).trimEnd();
}

/** Escapes a text that a spreadsheet would take for a formula. */
export function asText(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}
