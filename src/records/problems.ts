import { valuesOf } from '../recipe/overrides.js';
import { canonicalJson, type Deviation, differences, hashExperiment, resolveRow } from '../recipe/resolve.js';
import type { Row, Table } from '../recipe/tables.js';
import { UserError } from '../support/errors.js';
import { evaluationProblems } from './audit-evaluation.js';
import { stageProblems } from './audit-stages.js';
import { FIGURES, figuresOf } from './figures.js';
import type { RunRecord } from './record.js';

const text = (value: unknown) => JSON.stringify(value) ?? 'nothing';

/** Whether the deviations are those of the experiment, all of them and no other. */
function deviationProblems({ experiment, deviations }: RunRecord, expected: readonly Deviation[]): string[] {
  const problems: string[] = [];
  for (const { path, published } of expected) {
    const said = deviations.find((deviation) => deviation.path === path);
    if (said === undefined) {
      problems.push(`${path} differs from the published recipe and is no deviation`);
    } else if (canonicalJson(said.published) !== canonicalJson(published)) {
      problems.push(`the deviation of ${path} says that ${text(said.published)} was published, not ${text(published)}`);
    }
  }
  for (const { path } of deviations) {
    if (!expected.some((deviation) => deviation.path === path)) {
      problems.push(`${path} is said to deviate, and is as in the published recipe`);
    }
  }
  return [...problems, ...valueProblems({ experiment, deviations })];
}

/** Whether each deviation is of a value of the experiment, once, and says that value. */
function valueProblems({ experiment, deviations }: Pick<RunRecord, 'experiment' | 'deviations'>): string[] {
  const values = valuesOf(experiment);
  return deviations.flatMap(({ path, value }, i) => {
    if (deviations.findIndex((other) => other.path === path) !== i) return [`${path} is twice among the deviations`];
    const own = values.get(path);
    if (canonicalJson(own ?? null) === canonicalJson(value ?? null) && values.has(path)) return [];
    return [`the deviation of ${path} says ${text(value)}, and the experiment ${text(own)}`];
  });
}

/** Whether row, profile, seed and overrides, which a command is given, make the experiment. */
function overrideProblems({ experiment, profile, overrides, seed, environment }: RunRecord, row: Row): string[] {
  let asked: ReturnType<typeof resolveRow>;
  try {
    asked = resolveRow(row, { profile, overrides, seed });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [`the profile and the overrides make no experiment: ${error.message}`];
  }
  const differing = [...valuesOf(experiment)].find(([path, value]) => {
    // Processors, which have no float16, run such a recipe in bfloat16.
    const replaced = path === 'training.precision' && value === 'bf16' && environment.device === 'cpu';
    const expected = valuesOf(asked).get(path);
    return canonicalJson(value) !== canonicalJson(expected) && !(replaced && expected === 'fp16');
  });
  if (differing === undefined) return [];
  const [path, value] = differing;
  return [`${path} is ${text(value)}, and the profile and the overrides give ${text(valuesOf(asked).get(path))}`];
}

/**
 * What is wrong with the recipe of a record: another hash than it has, names that contradict it, and, of a row of the package,
 * deviations, published figures or overrides that are not those of the experiment. Empty where nothing is.
 */
export function recipeProblems(record: RunRecord, tables: readonly Table[]): string[] {
  const { experiment } = record;
  const problems: string[] = [];
  if (hashExperiment(experiment) !== record.experimentHash) {
    problems.push('experimentHash is not that of the experiment');
  }
  for (const key of ['row', 'table', 'profile', 'seed'] as const) {
    if (record[key] !== experiment[key]) {
      problems.push(`${key} is ${record[key]}, and ${experiment[key]} in the experiment`);
    }
  }
  const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === record.row);
  // Of a row of somebody's own file, only the record itself is here.
  if (row === undefined) return [...problems, ...valueProblems(record)];
  problems.push(...deviationProblems(record, differences(experiment, row.recipe)));
  problems.push(...overrideProblems(record, row));
  const published = FIGURES.find((figure) => experiment.published[figure] !== row.published[figure]);
  if (published !== undefined) problems.push(`experiment.published.${published} is not what was published`);
  return problems;
}

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
