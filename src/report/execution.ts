import { loadTables } from '../experiments/load.js';
import type { Execution } from '../runs/execute.js';
import { FIGURE_HEADINGS, FIGURES } from './figures.js';
import { formatFigure, terminalTable } from './layout.js';
import { reasonApart } from './table.js';

/** What a run found, beside what is published, and where it lies. */
export function formatExecution({ record, directory, kept, weights }: Execution): string {
  const { row, profile, seed, experiment, figures } = record;
  const apart = reasonApart(record, loadTables());
  const measured = FIGURES.filter((figure) => figures[figure] !== null);
  const table = terminalTable({
    head: apart === null ? ['', 'published', 'here'] : ['', 'here'],
    body: measured.map((figure) => [
      FIGURE_HEADINGS[figure],
      ...(apart === null ? [formatFigure(experiment.published[figure])] : []),
      formatFigure(figures[figure]),
    ]),
  });
  return [
    `${row}, ${profile} profile, seed ${seed}`,
    ...(measured.length === 0 ? [] : [table]),
    ...(apart === null ? [] : [`Compares with nothing published: ${apart}.`]),
    `run      ${directory}`,
    ...(weights === null ? [] : [`weights  ${weights}`]),
    `record   ${kept}`,
  ].join('\n');
}
