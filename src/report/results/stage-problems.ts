import { benchmarkSize } from '../../benchmark/test-size.js';
import type { RunRecord } from '../../runs/record.js';
import { STAGE_NAMES } from '../../runs/stage-names.js';

/** Whether stages have details, and only they; whether there is what they need. */
function presenceProblems({ stages, details, weights, dataset }: RunRecord): string[] {
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

/** Whether the times of a record go together. */
function timeProblems({ details: { train, benchmark }, stages, startedAt, endedAt }: RunRecord): string[] {
  const problems: string[] = [];
  // The benchmark computes the one from the other: the same bits.
  if (benchmark !== null && benchmark.fps !== 1 / benchmark.secondsPerImage) {
    const { fps, secondsPerImage } = benchmark;
    problems.push(`details.benchmark.fps is ${fps}, and its secondsPerImage give ${1 / secondsPerImage}`);
  }
  if (train !== null && train.skippedSteps > train.iterations) {
    problems.push(`details.train.skippedSteps is ${train.skippedSteps}, of ${train.iterations} iterations`);
  }
  const ofStages = stages.reduce((total, { seconds }) => total + seconds, 0);
  if ((Date.parse(endedAt) - Date.parse(startedAt)) / 1000 < ofStages - CLOCK_SECONDS) {
    problems.push('the stages took longer than the run');
  }
  return problems;
}

/**
 * What is wrong with what a record says of its stages: details without a stage or the other way round, weights or data that
 * are missing, other amounts than the recipe's, times that do not go together. Empty where nothing is.
 */
export function stageProblems(record: RunRecord): string[] {
  return [...presenceProblems(record), ...amountProblems(record), ...timeProblems(record)];
}
