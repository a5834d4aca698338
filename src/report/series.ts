import type { Outcome } from '../runs/series.js';
import { formatNumber, formatSeconds } from '../support/format.js';
import { wordsOf } from './document.js';
import { FIGURES } from './figures.js';
import { formatFigure, terminalTable } from './layout.js';
import { spreadTable } from './sections.js';
import { spreads } from './spread.js';

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
    ...FIGURES.map((figure) => formatFigure(record.figures[figure])),
    formatSeconds(outcome.seconds),
    outcome.state,
  ];
}

/** A line a run; what the seed alone changes, where a row ran with several; where the records are. */
export function formatSeries(outcomes: readonly Outcome[], results: string): string {
  const completed = outcomes.filter((outcome) => outcome.state === 'completed');
  const table = terminalTable({
    // In the order of the figures.
    head: ['Row', 'Seed', 'Mem (GB)', 'fps', 'mIoU', 'ms+flip', 'Time', 'Run'],
    body: outcomes.map((outcome) => {
      const { row, seed } = outcome.run.experiment;
      return [row, String(seed), ...cells(outcome)];
    }),
  });
  const overSeeds = spreads(completed.map(({ execution }) => execution.record));
  const count = (state: Outcome['state']) => outcomes.filter((outcome) => outcome.state === state).length;
  const counts = (['completed', 'failed', 'interrupted', 'not run'] as const)
    .filter((state) => count(state) > 0)
    .map((state) => `${count(state)} ${state}`);
  const { head, body } = spreadTable(overSeeds, () => undefined);
  const means = terminalTable({ head, body: body.map((cells) => cells.map(wordsOf)) });
  return [
    table,
    ...(overSeeds.length > 0 ? [`Mean ± sample standard deviation over seeds\n${means}`] : []),
    `${formatNumber(outcomes.length, 'run')}: ${counts.join(', ')}.`,
    ...(completed.length > 0
      ? [`Records are in ${results}/records; fcn table sets them beside the published figures.`]
      : []),
  ].join('\n');
}
