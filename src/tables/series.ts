import type { ClassLayout } from '../evaluation/class-figures.js';
import { describeCoverage } from '../evaluation/confusion.js';
import type { Table } from '../recipe/tables.js';
import { formatBest, formatCheckpoint, markedCheckpoints } from '../records/checkpoint-figures.js';
import { classEvaluation, formatClasses } from '../records/class-evaluation.js';
import { comparabilityNote, hasPublished, whyNotComparable } from '../records/comparability.js';
import type { RunRecord } from '../records/record.js';
import {
  FIGURE_COLUMNS,
  FIGURE_HEADINGS,
  FIGURES,
  formatFigure,
  formatSmallFigure,
  spreads,
} from '../records/verdict.js';
import type { Execution } from '../runs/execute.js';
import type { Outcome } from '../runs/series.js';
import { formatNumber, formatSeconds } from '../support/format.js';
import { entryLines, labelled, terminalTable, wrap } from '../terminal/layout.js';
import { formatPlaces } from './places.js';
import { spreadSection } from './terminal.js';

/** Which classes a run's mIoU covers; null if it covers all, or nothing was evaluated. */
function coverageOf({ details }: RunRecord): string | null {
  const evaluated = details.evaluate ?? details['evaluate-ms'];
  return evaluated === null ? null : describeCoverage(evaluated.perClass);
}

/** "after iteration 40: mIoU 28.00 (last: mIoU 27.10)"; null if no checkpoint was evaluated during training. */
function describeBest(record: RunRecord): string | null {
  const marked = markedCheckpoints(record);
  const best = marked === null ? null : formatBest(marked);
  if (best === null || marked!.best === marked!.last) return best;
  const [, last] = formatCheckpoint(marked!.last).split(': ');
  return last === undefined ? best : `${best} (last: ${last})`;
}

/**
 * The classes of a run's evaluation, its figures, published ones beside them if they are comparable, and its files.
 * @param tables The tables of the run's row.
 * @param lineWidth Longest line of sentences and paths; infinite where nobody looks at lines.
 */
export function formatExecution(
  execution: Execution,
  tables: readonly Table[],
  { lineWidth, ...classLayout }: ClassLayout & { readonly lineWidth: number },
): string {
  const { record } = execution;
  const { row, profile, seed, experiment, figures } = record;
  const places = formatPlaces(execution, lineWidth);
  const reason = whyNotComparable(record, tables);
  const note = reason === null ? null : comparabilityNote(reason, hasPublished(experiment.published));
  const measured = FIGURES.filter((figure) => figures[figure] !== null);
  const table = terminalTable({
    head: reason === null ? ['', 'published', 'here'] : ['', 'here'],
    body: measured.map((figure) => [
      FIGURE_HEADINGS[figure],
      ...(reason === null ? [formatFigure(experiment.published[figure])] : []),
      formatFigure(figures[figure]),
    ]),
  });
  const classes = classEvaluation(record.details);
  const best = describeBest(record);
  return [
    `${row}, ${profile} profile, seed ${seed}`,
    ...(classes === null ? [] : ['', ...formatClasses(classes, classLayout), '']),
    ...(measured.length === 0 ? [] : [table]),
    ...(note === null ? [] : wrap(note, lineWidth)),
    ...places.run,
    ...places.weights,
    ...(best === null ? [] : labelled('best     ', best, lineWidth)),
    ...places.record,
  ].join('\n');
}

/** A run of a series for --json, without the error of a run that did not complete. */
export function describeOutcome(outcome: Outcome): object {
  const { row, profile, seed } = outcome.run.experiment;
  const described = { row, profile, seed, state: outcome.state };
  return outcome.state === 'completed' ? { ...described, seconds: outcome.seconds, ...outcome.execution } : described;
}

function cells(outcome: Outcome): string[] {
  if (outcome.state !== 'completed') return [...FIGURES.map(() => '–'), '–', outcome.state];
  const { record } = outcome.execution;
  return [
    ...FIGURES.map((figure) => formatSmallFigure(record.figures[figure])),
    formatSeconds(outcome.seconds),
    outcome.state,
  ];
}

/**
 * How each run ended with its figures, means over seeds, and where the records are.
 * @param width Maximum characters in a line.
 */
export function formatSeries(outcomes: readonly Outcome[], results: string, width: number): string {
  const completed = outcomes.filter((outcome) => outcome.state === 'completed');
  const entries = outcomes.map((outcome) => {
    const { row, seed } = outcome.run.experiment;
    return { name: row, lines: [[String(seed), ...cells(outcome)]] };
  });
  const { lines } = entryLines(['Row', 'Seed', ...FIGURE_COLUMNS, 'Time', 'Run'], entries, { width });
  const overSeeds = spreads(completed.map(({ execution }) => execution.record));
  const coverages = completed.flatMap(({ run, execution }) => {
    const coverage = coverageOf(execution.record);
    const { row, seed } = run.experiment;
    return coverage === null ? [] : wrap(`${row}, seed ${seed}: ${coverage}.`, width);
  });
  const best = completed.flatMap(({ run, execution }) => {
    const described = describeBest(execution.record);
    const { row, seed } = run.experiment;
    return described === null ? [] : wrap(`${row}, seed ${seed}: best checkpoint ${described}.`, width);
  });
  const count = (state: Outcome['state']) => outcomes.filter((outcome) => outcome.state === state).length;
  const counts = (['completed', 'failed', 'interrupted', 'not run'] as const)
    .filter((state) => count(state) > 0)
    .map((state) => `${count(state)} ${state}`);
  const isPublished = completed.some(({ run }) => hasPublished(run.experiment.published));
  const shown = isPublished ? 'fcn table shows them beside the published figures' : 'fcn table shows them';
  return [
    ...lines,
    '',
    ...(coverages.length > 0 ? [...coverages, ''] : []),
    ...(best.length > 0 ? [...best, ''] : []),
    ...(overSeeds.length > 0 ? [...spreadSection(overSeeds, width), ''] : []),
    `${formatNumber(outcomes.length, 'run')}: ${counts.join(', ')}.`,
    ...(completed.length > 0 ? wrap(`Records are in ${results}/records; ${shown}.`, width) : []),
  ].join('\n');
}
