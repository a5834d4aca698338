import { hashExperiment } from '../../experiments/hash.js';
import type { Table } from '../../experiments/load.js';
import { differences } from '../../experiments/resolve.js';
import { figuresOf } from '../../runs/figures.js';
import type { RunRecord } from '../../runs/record.js';
import { FIGURES } from '../figures.js';

/** Figures are sums and quotients of the same numbers: only the last digits may differ. */
const ROUNDING = 1e-9;

function same(a: number | null, b: number | null): boolean {
  if (a === null || b === null) return a === b;
  return Math.abs(a - b) <= ROUNDING * Math.max(1, Math.abs(a));
}

type Evaluation = NonNullable<RunRecord['details']['evaluate']>;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Whether an evaluation's figures are those of its confusion matrix. */
function evaluationProblems(stage: string, { mIoU, perClass, confusion }: Evaluation): string[] {
  const ious = perClass.flatMap(({ iou }) => iou ?? []);
  const mean = sum(ious) / ious.length;
  const problems = same(mIoU, mean) ? [] : [`details.${stage}.mIoU is ${mIoU}, and its classes' mean is ${mean}`];
  const tooHigh = perClass.find(({ iou }, k) => {
    const intersection = confusion[k]?.[k] ?? 0;
    const union = sum(confusion[k] ?? []) + sum(confusion.map((row) => row[k] ?? 0)) - intersection;
    // Labels that are no class, which the matrix leaves out, add to the union of a prediction: they only lower it.
    return iou !== null && iou > intersection / union + ROUNDING;
  });
  if (tooHigh !== undefined) {
    problems.push(`details.${stage}: the IoU of ${tooHigh.name} is not that of the confusion matrix`);
  }
  return problems;
}

/**
 * What is wrong with a record that is to be kept, beyond what its schema says: figures that its own details do not give,
 * a recipe that its hash is not of, deviations that are not said. Empty where nothing is.
 */
export function recordProblems(record: RunRecord, tables: readonly Table[]): string[] {
  const { experiment, details, figures, stages } = record;
  const problems: string[] = [];
  if (record.exitReason !== 'completed') problems.push(`the run was ${record.exitReason}`);
  if (hashExperiment(experiment) !== record.experimentHash) {
    problems.push('experimentHash is not that of the experiment');
  }
  for (const key of ['row', 'table', 'profile', 'seed'] as const) {
    if (record[key] !== experiment[key])
      problems.push(`${key} is ${record[key]}, and ${experiment[key]} in the experiment`);
  }
  const expected = figuresOf(details);
  for (const figure of FIGURES) {
    if (!same(figures[figure], expected[figure])) {
      problems.push(`figures.${figure} is ${figures[figure]}, and the stages give ${expected[figure]}`);
    }
  }
  for (const stage of ['evaluate', 'evaluate-ms'] as const) {
    const evaluation = details[stage];
    if (evaluation !== null) problems.push(...evaluationProblems(stage, evaluation));
  }
  for (const { stage } of stages) if (details[stage] === null) problems.push(`the stage ${stage} has no details`);
  if (
    Date.parse(record.endedAt) - Date.parse(record.startedAt) <
    1000 * sum(stages.map(({ seconds }) => seconds)) - 1000
  ) {
    problems.push('the stages took longer than the run');
  }
  const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === record.row);
  if (row !== undefined) {
    const said = new Set(record.deviations.map(({ path }) => path));
    const unsaid = differences(experiment, row.recipe).find(({ path }) => !said.has(path));
    if (unsaid !== undefined) problems.push(`${unsaid.path} differs from the published recipe and is no deviation`);
    const published = FIGURES.find((figure) => experiment.published[figure] !== row.published[figure]);
    if (published !== undefined) problems.push(`experiment.published.${published} is not what was published`);
  }
  return problems;
}
