import { describeCoverage } from '../evaluation/confusion.js';
import type { Table } from '../recipe/tables.js';
import { reasonApart } from '../records/comparability.js';
import { FIGURE_HEADINGS, FIGURES, formatFigure } from '../records/figures.js';
import type { RunRecord } from '../records/record.js';
import { withoutControls } from '../support/format.js';
import { terminalTable } from '../terminal/layout.js';
import type { Execution } from './execute.js';

/** Names of one kind that are listed in full. */
const MOST_NAMES = 3;

/** How weights that were given fitted the network. */
function loadReportLines({ weights, details }: RunRecord): string[] {
  const report = details.evaluate?.loadReport ?? details['evaluate-ms']?.loadReport;
  if (report === undefined || weights?.source !== 'given') return [];
  const { loaded, missing, unexpected, wrongShape } = report;
  const line = (what: string, found: readonly string[]) => {
    const more = found.length > MOST_NAMES ? ` and ${found.length - MOST_NAMES} more` : '';
    return found.length === 0 ? [] : [`         ${what}: ${found.slice(0, MOST_NAMES).join(', ')}${more}`];
  };
  const shapes = wrongShape.map(({ path, expected, found }) => `${path} [${found}] for [${expected}]`);
  return [
    `         ${loaded} of ${loaded + missing.length + wrongShape.length} parameters are in it and fit`,
    ...line('missing', missing),
    ...line('of another shape', shapes),
    ...line('unexpected', unexpected.map(withoutControls)),
    ...(missing.length + wrongShape.length > 0
      ? ['         the auxiliary head, which only training uses, was left out']
      : []),
  ];
}

/** Over which classes a run's mIoU is, where not over all; null where it is, or nothing was evaluated. */
export function coverageOf({ details }: RunRecord): string | null {
  const evaluated = details.evaluate ?? details['evaluate-ms'];
  return evaluated === null ? null : describeCoverage(evaluated.perClass);
}

/**
 * What a run found, beside what is published, and where it lies.
 * @param tables Those that the run's row was taken from.
 */
export function formatExecution({ record, directory, kept, weights }: Execution, tables: readonly Table[]): string {
  const { row, profile, seed, experiment, figures } = record;
  const apart = reasonApart(record, tables);
  const measured = FIGURES.filter((figure) => figures[figure] !== null);
  const table = terminalTable({
    head: apart === null ? ['', 'published', 'here'] : ['', 'here'],
    body: measured.map((figure) => [
      FIGURE_HEADINGS[figure],
      ...(apart === null ? [formatFigure(experiment.published[figure])] : []),
      formatFigure(figures[figure]),
    ]),
  });
  const coverage = coverageOf(record);
  return [
    `${row}, ${profile} profile, seed ${seed}`,
    ...(measured.length === 0 ? [] : [table]),
    ...(coverage === null ? [] : [`${coverage}.`]),
    ...(apart === null ? [] : [`Compares with nothing published: ${apart}.`]),
    `run      ${directory}`,
    ...(weights === null ? [] : [`weights  ${weights}`]),
    ...loadReportLines(record),
    `record   ${kept}`,
  ].join('\n');
}
