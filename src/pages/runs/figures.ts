import { type Deviation, differences } from '../../recipe/resolve.js';
import { LOCAL_TABLE, type Row, type Table } from '../../recipe/tables.js';
import { whyNotComparable } from '../../records/comparability.js';
import { hardwareName } from '../../records/environment.js';
import { dependsOnHardware, FIGURE_HEADINGS, FIGURES, type Figure, formatSmallFigure } from '../../records/figures.js';
import type { KnownRun } from '../../runs/catalogue.js';
import {
  type Cell,
  cellText,
  comparison,
  makeCell,
  markNotes,
  marksOf,
  publishedText,
  resumedWithChanges,
} from '../../tables/cell.js';
import { escapeHtml } from '../../tables/html.js';
import { type CellContent, table } from './markup.js';

/** A run's figures as its published table would show them; null where they compare with nothing published. */
export type RunCells = Readonly<Record<Figure, Cell>> | null;

/** @param row As it is published; null where the run's figures compare with nothing published. */
export function runCells({ record }: KnownRun, row: Row | null): RunCells {
  if (row === null) return null;
  const cell = (figure: Figure) => makeCell(row, record === null ? [] : [record], figure, { fileOf: () => null });
  return { memoryGB: cell('memoryGB'), fps: cell('fps'), mIoU: cell('mIoU'), mIoUMsFlip: cell('mIoUMsFlip') };
}

/** What the marks of a run's figures are made from. */
function marked({ record }: KnownRun, figure?: Figure) {
  const given = record?.weights?.source === 'given' && (figure === undefined || !dependsOnHardware(figure));
  return { givenWeights: given, continued: record !== null && resumedWithChanges(record) };
}

function here(run: KnownRun, figure: Figure): string {
  const value = run.record?.figures[figure] ?? null;
  const marks = marksOf(marked(run, figure));
  return `${formatSmallFigure(value)}${value === null || marks === '' ? '' : ` ${marks}`}`;
}

/** A run's figures for a table of many runs: beside the published ones, or alone where they compare with none. */
export function figureCells(run: KnownRun, cells: RunCells): CellContent[] {
  return FIGURES.map((figure) => ({
    number:
      cells === null
        ? here(run, figure)
        : cellText(cells[figure], () => undefined)
            .map(({ text }) => text)
            .join(''),
  }));
}

/**
 * A run's figures: beside the published ones with difference or ratio, verdict and hardware; alone, with the reason, where they
 * compare with none.
 */
export function figuresSection(run: KnownRun, cells: RunCells, apart: string | null): string {
  const hardware = (figure: Figure) =>
    dependsOnHardware(figure) && run.record?.figures[figure] != null ? hardwareName(run.environment) : '';
  const marks = markNotes([marked(run)])
    .map((note) => `<p class="note">${escapeHtml(note)}</p>`)
    .join('');
  if (cells === null) {
    const shown = table({
      name: 'Figures',
      head: ['Figure', 'Here', 'Measured on'],
      body: FIGURES.map((figure) => [FIGURE_HEADINGS[figure], { number: here(run, figure) }, hardware(figure)]),
    });
    const why = apart === null ? '' : `<p class="note">They compare with nothing published: ${escapeHtml(apart)}.</p>`;
    return `${shown}${why}${marks}`;
  }
  const tolerances = new Set(
    FIGURES.flatMap((figure) => {
      const { tolerance, reproduced } = cells[figure];
      if (tolerance === null || reproduced === null) return [];
      return [`${FIGURE_HEADINGS[figure]}: ±${Number(tolerance.value.toPrecision(3))} (${tolerance.source})`];
    }),
  );
  const shown = table({
    name: 'Figures, published and here',
    head: ['Figure', 'Published', 'Here', 'Compared', 'Verdict', 'Measured on'],
    body: FIGURES.map((figure) => [
      FIGURE_HEADINGS[figure],
      { number: publishedText(cells[figure]) },
      { number: here(run, figure) },
      { number: comparison(cells[figure]) ?? '–' },
      cells[figure].verdict ?? 'none: other hardware',
      hardware(figure),
    ]),
  });
  const within =
    tolerances.size === 0 ? '' : `<p class="note">Reproduced within ${[...tolerances].map(escapeHtml).join('; ')}.</p>`;
  return `${shown}${within}${marks}`;
}

/** What deviates: as the record says, or, where there is none yet, beside the row of the package; empty where that is not there. */
export function deviationsOf({ record, experiment }: KnownRun, tables: readonly Table[]): readonly Deviation[] {
  if (record !== null) return record.deviations;
  const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === experiment.row);
  return row === undefined ? [] : differences(experiment, row.recipe);
}

/** Why a run's figures must not stand beside published ones; null where they may, or will once it has completed. */
export function runApart(run: KnownRun, tables: readonly Table[]): string | null {
  const { record, experiment } = run;
  if (record === null) {
    // A profile's own deviations are many, and follow from it.
    if (experiment.profile !== 'full') return `${experiment.profile} profile`;
    const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === experiment.row);
    if (row === undefined || row.table.name === LOCAL_TABLE) return 'nothing published';
    const changed = deviationsOf(run, tables).map(({ path, value }) => `${path}=${JSON.stringify(value)}`);
    return changed.length === 0 ? null : changed.join(', ');
  }
  const apart = whyNotComparable(record, tables);
  if (apart !== null) return apart;
  return record.exitReason === 'completed' ? null : `the run was ${record.exitReason}`;
}
