import { FIGURE_COLUMNS, FIGURES, formatSmallFigure } from '../records/figures.js';
import { spreads } from '../records/spread.js';
import { coverageOf } from '../runs/execution.js';
import type { Outcome } from '../runs/series.js';
import { formatNumber, formatSeconds } from '../support/format.js';
import { entryLines, wrap } from '../terminal/layout.js';
import { spreadSection } from './terminal.js';

/** A run of a series as --json prints it; a run that did not complete has its error besides. */
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
 * How each run ended, and its figures; what the seed alone changes, where a row ran with several; where the records are.
 * @param width Most characters of a line.
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
  const count = (state: Outcome['state']) => outcomes.filter((outcome) => outcome.state === state).length;
  const counts = (['completed', 'failed', 'interrupted', 'not run'] as const)
    .filter((state) => count(state) > 0)
    .map((state) => `${count(state)} ${state}`);
  return [
    ...lines,
    '',
    ...(coverages.length > 0 ? [...coverages, ''] : []),
    ...(overSeeds.length > 0 ? [...spreadSection(overSeeds, width), ''] : []),
    `${formatNumber(outcomes.length, 'run')}: ${counts.join(', ')}.`,
    ...(completed.length > 0
      ? wrap(`Records are in ${results}/records; fcn table sets them beside the published figures.`, width)
      : []),
  ].join('\n');
}
