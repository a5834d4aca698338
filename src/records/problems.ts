import path from 'node:path';
import { rooflineShares } from '../measurement/benchmark.js';
import { benchmarkSize } from '../measurement/network-cost.js';
import { identifyingValue } from '../recipe/named-files.js';
import { isOptional, recipeValues } from '../recipe/overrides.js';
import { canonicalJson, type Deviation, differences, isHashOf, resolveRow } from '../recipe/resolve.js';
import type { Row, Table } from '../recipe/tables.js';
import { UserError } from '../support/errors.js';
import { evaluationProblems, jsonText, mismatch } from './evaluation-problems.js';
import { type RunRecord, STAGE_NAMES } from './record.js';
import { FIGURES, figuresOf } from './verdict.js';

/** Checks that exactly the completed stages have details, and that they have the data and weights they need. */
function presenceProblems({ stages, details, weights, dataset, experiment }: RunRecord): string[] {
  const problems: string[] = [];
  const done = stages.map(({ stage }) => stage);
  if (done.length === 0) problems.push('no stage was done');
  if (done.join() !== STAGE_NAMES.filter((stage) => done.includes(stage)).join()) {
    problems.push(`the stages ${done.join(', ')} are repeated or out of order`);
  }
  for (const stage of STAGE_NAMES) {
    if (done.includes(stage) && details[stage] === null) problems.push(`the stage ${stage} has no details`);
    if (!done.includes(stage) && details[stage] !== null) {
      problems.push(`details.${stage} is of a stage that was not done`);
    }
  }
  const reads = done.find((stage) => stage !== 'benchmark');
  if (reads !== undefined && dataset === null) problems.push(`the stage ${reads} needs a data set, but there is none`);
  // A user's own data set is named after its description file.
  const id = path.basename(experiment.data.dataset).replace(/\.ya?ml$/, '');
  if (dataset !== null && dataset.id !== id) problems.push(`the data set is ${dataset.id}, but the recipe's is ${id}`);
  if (reads !== undefined && weights === null) {
    problems.push(`the stage ${reads} makes or needs weights, but there are none`);
  }
  const source = done.includes('train') ? 'trained' : 'given';
  if (weights !== null && weights.source !== source) {
    problems.push(`the weights are recorded as ${weights.source}, but the stages say ${source}`);
  }
  return problems;
}

/** Compares iterations, images, batches and sizes of the stages with the recipe. */
function amountProblems({ details: { train, benchmark }, experiment }: RunRecord): string[] {
  const { training, data, evaluation, benchmark: recipe } = experiment;
  const compare = (name: string, found: unknown, expected: unknown) =>
    mismatch(`details.${name}`, found, 'the recipe says', expected);
  const ofBenchmark = benchmark && [
    ...compare('benchmark.images', benchmark.images, recipe.images),
    ...compare('benchmark.warmup', benchmark.warmup, recipe.warmup),
    ...compare('benchmark.sizeHw', benchmark.sizeHw, benchmarkSize(evaluation)),
    ...compare('benchmark.trainingBatch', benchmark.trainingBatch, recipe.trainingBatch),
    ...compare('benchmark.trainingSizeHw', benchmark.trainingSizeHw, data.cropHw),
    ...compare('benchmark.trainingSteps', benchmark.trainingSteps, recipe.trainingSteps),
  ];
  const ofTraining = train && compare('train.iterations', train.iterations, training.iterations);
  return [...(ofTraining ?? []), ...(ofBenchmark ?? [])];
}

/** The clock may be adjusted while a run executes. */
const CLOCK_SECONDS = 1;

/** Compares fps exactly: the same division gives the same bits. */
function fpsProblems({ details: { benchmark } }: RunRecord): string[] {
  if (benchmark === null) return [];
  return mismatch('details.benchmark.fps', benchmark.fps, 'its secondsPerImage give', 1 / benchmark.secondsPerImage);
}

/** Compares the shares of a bare convolution's rate with those that the same function gives. */
function shareProblems({ details: { benchmark }, experiment }: RunRecord): string[] {
  if (benchmark === null) return [];
  let shares: ReturnType<typeof rooflineShares>;
  try {
    shares = rooflineShares(experiment, benchmark);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [`the recipe makes no network: ${error.message}`];
  }
  return (['trainingShare', 'inferenceShare'] as const).flatMap((name) =>
    mismatch(`details.benchmark.roofline.${name}`, benchmark.roofline[name], 'the seconds give', shares[name]),
  );
}

/** Checks the number of skipped steps: only 16-bit gradients overflow. */
function skippedProblems({ details: { train }, experiment }: RunRecord): string[] {
  if (train === null) return [];
  const { skippedSteps, iterations } = train;
  const { precision } = experiment.training;
  const most = precision === 'fp32' ? 0 : iterations;
  if (skippedSteps <= most) return [];
  return [`details.train.skippedSteps is ${skippedSteps}, of ${iterations} iterations in ${precision}`];
}

function timeProblems({ details, stages, startedAt, endedAt, continued }: RunRecord): string[] {
  const problems: string[] = [];
  // If a run was resumed, the time of a stage does not include its work before that.
  for (const { stage, seconds } of continued === undefined ? stages : []) {
    const detail = details[stage];
    if (detail !== null && 'seconds' in detail && detail.seconds > seconds) {
      problems.push(`details.${stage}.seconds is ${detail.seconds}, but the stage took ${seconds}`);
    }
  }
  const ofStages = stages.reduce((total, { seconds }) => total + seconds, 0);
  if ((Date.parse(endedAt) - Date.parse(startedAt)) / 1000 < ofStages - CLOCK_SECONDS) {
    problems.push('the stages took longer than the run');
  }
  return problems;
}

/** Checks the stages: what they did, what they needed, their rates and times. */
function stageProblems(record: RunRecord): string[] {
  const problems = [presenceProblems, amountProblems, fpsProblems, skippedProblems, timeProblems].flatMap((find) =>
    find(record),
  );
  // Counting operations of a changed recipe could take any time.
  const ofTheRun = isHashOf(record.experimentHash, record.experiment) && amountProblems(record).length === 0;
  return ofTheRun ? [...problems, ...shareProblems(record)] : problems;
}

/** Compares the recorded deviations with those of the experiment. */
function deviationProblems(record: RunRecord, expected: readonly Deviation[]): string[] {
  const { deviations } = record;
  const problems: string[] = [];
  for (const { path, published } of expected) {
    const recorded = deviations.find((deviation) => deviation.path === path);
    if (recorded === undefined) {
      problems.push(`${path} differs from the published recipe, but is not among the deviations`);
    } else if (
      canonicalJson(identifyingValue(path, recorded.published)) !== canonicalJson(identifyingValue(path, published))
    ) {
      problems.push(
        `the deviation of ${path} says that ${jsonText(recorded.published)} was published, not ${jsonText(published)}`,
      );
    }
  }
  for (const { path } of deviations) {
    if (!expected.some((deviation) => deviation.path === path)) {
      problems.push(`${path} is among the deviations, but is as in the published recipe`);
    }
  }
  return [...problems, ...deviationValueProblems(record)];
}

/** Checks that each deviation occurs once and has the experiment's value. */
function deviationValueProblems({ experiment, deviations }: RunRecord): string[] {
  const values = recipeValues(experiment);
  return deviations.flatMap(({ path, value }, i) => {
    if (deviations.findIndex((other) => other.path === path) !== i) return [`${path} is twice among the deviations`];
    const own = values.get(path);
    const isKnown = values.has(path) || isOptional(path);
    if (canonicalJson(own ?? null) === canonicalJson(value ?? null) && isKnown) return [];
    return [`the deviation of ${path} says ${jsonText(value)}, but the experiment says ${jsonText(own)}`];
  });
}

/** Checks that row, profile, seed and overrides give the experiment. */
function overrideProblems({ experiment, profile, overrides, seed, environment }: RunRecord, row: Row): string[] {
  let expected: ReturnType<typeof recipeValues>;
  try {
    expected = recipeValues(resolveRow(row, { profile, overrides, seed }));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [`the profile and the overrides give no experiment: ${error.message}`];
  }
  const values = recipeValues(experiment);
  for (const path of new Set([...values.keys(), ...expected.keys()])) {
    const value = values.get(path);
    // The override names a file or a run; the experiment has the hash of its content.
    if (path === 'model.initialWeights' && value !== undefined && expected.has(path)) continue;
    // Processors have no float16: they run such a recipe in bfloat16.
    const isReplaced = path === 'training.precision' && value === 'bf16' && environment.device === 'cpu';
    const identity = (found: unknown) => canonicalJson(identifyingValue(path, found));
    if (identity(value) === identity(expected.get(path)) || (isReplaced && expected.get(path) === 'fp16')) continue;
    return [`${path} is ${jsonText(value)}, but the profile and the overrides give ${jsonText(expected.get(path))}`];
  }
  return [];
}

/** Checks the recipe against its hash and the record and, for a row of the package, against the published recipe. */
function recipeProblems(record: RunRecord, tables: readonly Table[]): string[] {
  const { experiment } = record;
  const problems: string[] = [];
  if (!isHashOf(record.experimentHash, experiment)) {
    problems.push('experimentHash is not that of the experiment');
  }
  for (const key of ['row', 'table', 'profile', 'seed'] as const) {
    problems.push(...mismatch(key, record[key], 'the experiment says', experiment[key]));
  }
  const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === record.row);
  // The recipe of a row from a user's own file is not available here.
  if (row === undefined) return [...problems, ...deviationValueProblems(record)];
  problems.push(...deviationProblems(record, differences(experiment, row.recipe)));
  problems.push(...overrideProblems(record, row));
  const published = FIGURES.find((figure) => experiment.published[figure] !== row.published[figure]);
  if (published !== undefined) problems.push(`experiment.published.${published} is not the published figure`);
  return problems;
}

function endProblems({ exitReason, error }: RunRecord): string[] {
  if (exitReason !== 'completed') return [`the run ${exitReason === 'failed' ? 'failed' : 'was interrupted'}`];
  return error === null ? [] : [`the run completed, but error is ${JSON.stringify(error)}`];
}

/** Compares the figures exactly with those that the same function computes from the stages. */
function figureProblems({ figures, details }: RunRecord): string[] {
  const expected = figuresOf(details);
  return FIGURES.flatMap((figure) =>
    mismatch(`figures.${figure}`, figures[figure], 'the stages give', expected[figure]),
  );
}

/** What is wrong with a record to be kept, beyond its schema: contradictions within it or with its recipe. */
export function recordProblems(record: RunRecord, tables: readonly Table[]): string[] {
  return [
    ...endProblems(record),
    ...recipeProblems(record, tables),
    ...figureProblems(record),
    ...evaluationProblems(record),
    ...stageProblems(record),
  ];
}
