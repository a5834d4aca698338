import path from 'node:path';
import { rooflineShares } from '../measurement/benchmark.js';
import { benchmarkSize } from '../measurement/test-size.js';
import { hashExperiment } from '../recipe/resolve.js';
import { UserError } from '../support/errors.js';
import { type RunRecord, STAGE_NAMES } from './record.js';

/** Whether stages have details, and only they; whether there is what they need. */
function presenceProblems({ stages, details, weights, dataset, experiment }: RunRecord): string[] {
  const problems: string[] = [];
  const done = stages.map(({ stage }) => stage);
  if (done.length === 0) problems.push('no stage was done');
  if (done.join() !== STAGE_NAMES.filter((stage) => done.includes(stage)).join()) {
    problems.push(`the stages ${done.join(', ')} are not in their order, each once`);
  }
  for (const stage of STAGE_NAMES) {
    if (done.includes(stage) && details[stage] === null) problems.push(`the stage ${stage} has no details`);
    if (!done.includes(stage) && details[stage] !== null) {
      problems.push(`details.${stage} is of a stage that was not done`);
    }
  }
  const reads = done.find((stage) => stage !== 'benchmark');
  if (reads !== undefined && dataset === null) problems.push(`the stage ${reads} needs a data set, and there is none`);
  // A data set of one's own has the name of the file that describes it.
  const id = path.basename(experiment.data.dataset).replace(/\.ya?ml$/, '');
  if (dataset !== null && dataset.id !== id) problems.push(`the data set is ${dataset.id}, and the recipe's ${id}`);
  if (reads !== undefined && weights === null) {
    problems.push(`the stage ${reads} makes or needs weights, and there are none`);
  }
  const source = done.includes('train') ? 'trained' : 'given';
  if (weights !== null && weights.source !== source) {
    problems.push(`the weights are said to be ${weights.source}, and the stages say ${source}`);
  }
  return problems;
}

/** Whether what stages say they did is what the recipe asks for. */
function amountProblems({ details: { train, benchmark }, experiment }: RunRecord): string[] {
  const { training, data, evaluation, benchmark: recipe } = experiment;
  const amounts: (readonly [string, unknown, unknown])[] = [];
  if (train !== null) amounts.push(['train.iterations', train.iterations, training.iterations]);
  if (benchmark !== null) {
    amounts.push(
      ['benchmark.images', benchmark.images, recipe.images],
      ['benchmark.warmup', benchmark.warmup, recipe.warmup],
      ['benchmark.sizeHw', benchmark.sizeHw, benchmarkSize(evaluation)],
      ['benchmark.trainingBatch', benchmark.trainingBatch, recipe.trainingBatch],
      ['benchmark.trainingSizeHw', benchmark.trainingSizeHw, data.cropHw],
      ['benchmark.trainingSteps', benchmark.trainingSteps, recipe.trainingSteps],
    );
  }
  return amounts.flatMap(([name, found, expected]) =>
    JSON.stringify(found) === JSON.stringify(expected)
      ? []
      : [`details.${name} is ${JSON.stringify(found)}, and the recipe says ${JSON.stringify(expected)}`],
  );
}

/** A second more is put up with: the clock that says when a run starts and ends may be set meanwhile. */
const CLOCK_SECONDS = 1;

/** Whether fps is that of the seconds: the same division makes it again, with the same bits. */
function fpsProblems({ details: { benchmark } }: RunRecord): string[] {
  if (benchmark === null) return [];
  const { fps, secondsPerImage } = benchmark;
  return fps === 1 / secondsPerImage
    ? []
    : [`details.benchmark.fps is ${fps}, and its secondsPerImage give ${1 / secondsPerImage}`];
}

/** Whether the shares of a bare convolution's rate are those of the seconds, by the same function. */
function shareProblems({ details: { benchmark }, experiment }: RunRecord): string[] {
  if (benchmark === null) return [];
  const { roofline } = benchmark;
  let shares: ReturnType<typeof rooflineShares>;
  try {
    shares = rooflineShares(experiment, benchmark);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [`the recipe makes no network: ${error.message}`];
  }
  return (['trainingShare', 'inferenceShare'] as const)
    .filter((name) => roofline[name] !== shares[name])
    .map((name) => `details.benchmark.roofline.${name} is ${roofline[name]}, and the seconds give ${shares[name]}`);
}

/** Whether steps were skipped that can have been: only gradients of 16 bits overflow. */
function skippedProblems({ details: { train }, experiment }: RunRecord): string[] {
  if (train === null) return [];
  const { skippedSteps, iterations } = train;
  const most = experiment.training.precision === 'fp32' ? 0 : iterations;
  return skippedSteps > most
    ? [`details.train.skippedSteps is ${skippedSteps}, of ${iterations} iterations in ${experiment.training.precision}`]
    : [];
}

/** Whether the times of a record go together. */
function timeProblems({ details, stages, startedAt, endedAt, continued }: RunRecord): string[] {
  const problems: string[] = [];
  for (const { stage, seconds } of continued === undefined ? stages : []) {
    const detail = details[stage];
    // What a stage did before it was gone on with is not in its own time.
    if (detail !== null && 'seconds' in detail && detail.seconds > seconds) {
      problems.push(`details.${stage}.seconds is ${detail.seconds}, and the stage took ${seconds}`);
    }
  }
  const ofStages = stages.reduce((total, { seconds }) => total + seconds, 0);
  if ((Date.parse(endedAt) - Date.parse(startedAt)) / 1000 < ofStages - CLOCK_SECONDS) {
    problems.push('the stages took longer than the run');
  }
  return problems;
}

/**
 * What is wrong with what a record says of its stages: details without a stage or the other way round, weights or data that
 * are missing or others, other amounts than the recipe's, rates and times that do not go together. Empty where nothing is.
 */
export function stageProblems(record: RunRecord): string[] {
  const problems = [presenceProblems, amountProblems, fpsProblems, skippedProblems, timeProblems].flatMap((find) =>
    find(record),
  );
  // Operations are counted of a recipe that is the run's: one that was changed may be of any size.
  const ofTheRun = hashExperiment(record.experiment) === record.experimentHash && amountProblems(record).length === 0;
  return ofTheRun ? [...problems, ...shareProblems(record)] : problems;
}
