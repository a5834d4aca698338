import { type Deviation, differences } from '../../recipe/resolve.js';
import { LOCAL_TABLE, type Row, type Table } from '../../recipe/tables.js';
import { comparabilityNote, hasPublished, NOTHING_PUBLISHED, whyNotComparable } from '../../records/comparability.js';
import { hardwareName } from '../../records/environment.js';
import { shownFigures, validationMark, validationNotes } from '../../records/last-validation.js';
import { dependsOnHardware, FIGURE_HEADINGS, FIGURES, type Figure, formatSmallFigure } from '../../records/verdict.js';
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
  weightsMarks,
} from '../../tables/cell.js';
import { escapeHtml } from '../../tables/html.js';
import { type CellContent, htmlTable } from '../markup.js';

/** A run's figures as its published table would show them; null if they compare with nothing published. */
export type RunCells = Readonly<Record<Figure, Cell>> | null;

/** @param row Null if the run's figures compare with nothing published. */
export function runCells({ record }: KnownRun, row: Row | null): RunCells {
  if (row === null) return null;
  const cell = (figure: Figure) => makeCell(row, record === null ? [] : [record], figure, { fileOf: () => null });
  return { memoryGB: cell('memoryGB'), fps: cell('fps'), mIoU: cell('mIoU'), mIoUMsFlip: cell('mIoUMsFlip') };
}

/** What decides which marks a run's figures get. */
function markedBy({ record }: KnownRun, figure?: Figure) {
  const weights = weightsMarks(record);
  const givenWeights = weights.givenWeights && (figure === undefined || !dependsOnHardware(figure));
  return { ...weights, givenWeights, continued: record !== null && resumedWithChanges(record) };
}

function formatRunFigure(run: KnownRun, figure: Figure): string {
  const shown = shownFigures(run.record, run.validation);
  const value = shown.figures[figure];
  const marks = `${marksOf(markedBy(run, figure))}${validationMark(shown, figure)}`;
  return `${formatSmallFigure(value)}${value === null || marks === '' ? '' : ` ${marks}`}`;
}

function formatVerdict(run: KnownRun, { verdict }: Cell, figure: Figure): string {
  const { validation } = shownFigures(run.record, run.validation);
  if (figure === 'mIoU' && validation !== null) return 'none: during training';
  return verdict ?? 'none: other hardware';
}

/** A run's figures for a table of many runs: with the published ones if they compare with them. */
export function figureCells(run: KnownRun, cells: RunCells, shown: readonly Figure[]): CellContent[] {
  return shown.map((figure) => ({
    number:
      cells === null
        ? formatRunFigure(run, figure)
        : cellText(cells[figure], () => undefined)
            .map(({ text }) => text)
            .join(''),
  }));
}

/** A run's figures compared with the published ones; or alone, with the reason, if they compare with nothing published. */
export function figuresSection(run: KnownRun, cells: RunCells, notComparable: string | null): string {
  const hardware = (figure: Figure) =>
    dependsOnHardware(figure) && run.record?.figures[figure] != null ? hardwareName(run.environment) : '';
  const marks = [...markNotes([markedBy(run)]), ...validationNotes([shownFigures(run.record, run.validation)])]
    .map((note) => `<p class="note">${escapeHtml(note)}</p>`)
    .join('');
  if (cells === null) {
    const shown = htmlTable({
      name: 'Figures',
      head: ['Figure', 'Here', 'Measured on'],
      body: FIGURES.map((figure) => [
        FIGURE_HEADINGS[figure],
        { number: formatRunFigure(run, figure) },
        hardware(figure),
      ]),
    });
    // Where nothing is published, the conditions stand above, with what else is said of the run.
    const note =
      notComparable !== null && hasPublished(run.experiment.published) ? comparabilityNote(notComparable, true) : null;
    return `${shown}${note === null ? '' : `<p class="note">${escapeHtml(note)}</p>`}${marks}`;
  }
  const tolerances = new Set(
    FIGURES.flatMap((figure) => {
      const { tolerance, reproduced } = cells[figure];
      if (tolerance === null || reproduced === null) return [];
      return [`${FIGURE_HEADINGS[figure]}: ±${Number(tolerance.value.toPrecision(3))} (${tolerance.source})`];
    }),
  );
  const shown = htmlTable({
    name: 'Figures, published and here',
    head: ['Figure', 'Published', 'Here', 'Compared', 'Verdict', 'Measured on'],
    body: FIGURES.map((figure) => [
      FIGURE_HEADINGS[figure],
      { number: publishedText(cells[figure]) },
      { number: formatRunFigure(run, figure) },
      { number: comparison(cells[figure]) ?? '–' },
      formatVerdict(run, cells[figure], figure),
      hardware(figure),
    ]),
  });
  const within =
    tolerances.size === 0 ? '' : `<p class="note">Reproduced within ${[...tolerances].map(escapeHtml).join('; ')}.</p>`;
  return `${shown}${within}${marks}`;
}

/** Null if no table has the row. */
export function findRow(id: string | null, tables: readonly Table[]): Row | null {
  return tables.flatMap(({ rows }) => rows).find((row) => row.id === id) ?? null;
}

/** The deviations in the run's record. Without a record yet, those from the package's row, if there is one. */
export function deviationsOf({ record, experiment }: KnownRun, tables: readonly Table[]): readonly Deviation[] {
  if (record !== null) return record.deviations;
  const row = findRow(experiment.row, tables);
  return row === null ? [] : differences(experiment, row.recipe);
}

/** Why a run's figures compare with nothing published; null if they do, or will when the run has completed. */
export function reasonNotComparable(run: KnownRun, tables: readonly Table[]): string | null {
  const { record, experiment } = run;
  if (record === null) {
    // The many deviations of a profile follow from its name.
    if (experiment.profile !== 'full') return `${experiment.profile} profile`;
    const row = findRow(experiment.row, tables);
    if (row === null || row.table.name === LOCAL_TABLE || !hasPublished(row.published)) return NOTHING_PUBLISHED;
    const changed = deviationsOf(run, tables).map(({ path, value }) => `${path}=${JSON.stringify(value)}`);
    return changed.length === 0 ? null : changed.join(', ');
  }
  const completed = record.exitReason === 'completed';
  return whyNotComparable(record, tables) ?? (completed ? null : `the run was ${record.exitReason}`);
}
