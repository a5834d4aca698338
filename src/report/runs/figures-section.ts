import type { Row } from '../../experiments/load.js';
import { hardwareName } from '../../runs/environment.js';
import { type Cell, makeCell, wentOnChanged } from '../cell.js';
import { cellText, comparison, publishedText } from '../cell-text.js';
import { dependsOnHardware, FIGURE_HEADINGS, FIGURES, type Figure, formatSmallFigure } from '../figures.js';
import { escapeHtml } from '../html.js';
import { markNotes, marksOf } from '../marks.js';
import type { KnownRun } from './find.js';
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
  return { givenWeights: given, continued: record !== null && wentOnChanged(record) };
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
