import type { Execution } from '../runs/execute.js';
import { formatFigure, terminalTable } from './layout.js';
import { FIGURE_HEADINGS, FIGURES } from './table.js';

/** What a run found, beside what is published, and where it lies. */
export function formatExecution({ record, directory, kept, weights }: Execution): string {
  const { row, profile, seed, experiment, figures, deviations } = record;
  const measured = FIGURES.filter((figure) => figures[figure] !== null);
  const table = terminalTable({
    head: ['', 'published', 'here'],
    body: measured.map((figure) => [
      FIGURE_HEADINGS[figure],
      formatFigure(experiment.published[figure]),
      formatFigure(figures[figure]),
    ]),
  });
  const places = [`run      ${directory}`, ...(weights === null ? [] : [`weights  ${weights}`]), `record   ${kept}`];
  return [
    `${row}, ${profile} profile, seed ${seed}`,
    ...(measured.length === 0 ? [] : [table]),
    ...(deviations.length === 0
      ? []
      : [`${deviations.length} values deviate from the published recipe, so the figures do not compare with it.`]),
    ...places,
  ].join('\n');
}
