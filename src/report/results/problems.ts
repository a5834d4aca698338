import type { Table } from '../../experiments/load.js';
import { figuresOf } from '../../runs/figures.js';
import type { RunRecord } from '../../runs/record.js';
import { FIGURES } from '../figures.js';
import { evaluationProblems } from './evaluation-problems.js';
import { recipeProblems } from './recipe-problems.js';
import { stageProblems } from './stage-problems.js';

/** Whether the run completed, and nothing says otherwise. */
function endProblems({ exitReason, error }: RunRecord): string[] {
  if (exitReason !== 'completed') return [`the run was ${exitReason}`];
  return error === null ? [] : [`the run completed, and error is ${JSON.stringify(error)}`];
}

/** Whether the figures are those of the stages, exactly: they are made by the same function again. */
function figureProblems({ figures, details }: RunRecord): string[] {
  const expected = figuresOf(details);
  return FIGURES.filter((figure) => figures[figure] !== expected[figure]).map(
    (figure) => `figures.${figure} is ${figures[figure]}, and the stages give ${expected[figure]}`,
  );
}

/**
 * What is wrong with a record that is to be kept, beyond what its schema says: figures that its own details do not give,
 * stages that did something else than its recipe, a recipe that its hash is not of, deviations that are not said. Empty where
 * nothing is.
 */
export function recordProblems(record: RunRecord, tables: readonly Table[]): string[] {
  return [
    ...endProblems(record),
    ...recipeProblems(record, tables),
    ...figureProblems(record),
    ...evaluationProblems(record),
    ...stageProblems(record),
  ];
}
