import path from 'node:path';
import { describedDataset, publishedImages } from '../data/description.js';
import { ConfusionMatrix, metrics } from '../evaluation/confusion.js';
import { rooflineShares } from '../measurement/benchmark.js';
import { benchmarkSize } from '../measurement/network-cost.js';
import { recipeValues } from '../recipe/overrides.js';
import { canonicalJson, type Deviation, differences, hashExperiment, resolveRow } from '../recipe/resolve.js';
import type { Row, Table } from '../recipe/tables.js';
import { UserError } from '../support/errors.js';
import { FIGURES, figuresOf } from './figures.js';
import { type RunRecord, STAGE_NAMES } from './record.js';

const EVALUATIONS = ['evaluate', 'evaluate-ms'] as const;
type Evaluation = NonNullable<RunRecord['details']['evaluate']>;

/** As a record has a figure that nothing defines. */
const figure = (value: number) => (Number.isNaN(value) ? null : value);

/** Whether counts are whole numbers, none of them negative, one a class. */
function areCounts(values: readonly number[], classes: number): boolean {
  return values.length === classes && values.every((value) => Number.isSafeInteger(value) && value >= 0);
}

/** The matrix of an evaluation, or why it is none. */
function matrixOf({ confusion, outside, perClass }: Evaluation, classes: number): ConfusionMatrix | string {
  if (confusion.length !== classes || !confusion.every((row) => areCounts(row, classes))) {
    return `confusion is not ${classes} × ${classes} counts of pixels`;
  }
  if (outside !== undefined && ![outside.labels, outside.predictions].every((counts) => areCounts(counts, classes))) {
    return `outside is not ${classes} counts of labels and of predictions`;
  }
  if (perClass.length !== classes) return `perClass has ${perClass.length} classes, the recipe ${classes}`;
  return ConfusionMatrix.fromRows(confusion, outside ?? null);
}

/** Whether the classes are those of the data set, in their order, where the package describes it. */
function classProblems({ perClass }: Evaluation, { experiment }: RunRecord): string[] {
  const { classes } = describedDataset(experiment.data.dataset) ?? {};
  const wrong = perClass.findIndex(({ name }, k) => name !== (classes?.[k] ?? name));
  return wrong < 0 ? [] : [`class ${wrong} is ${perClass[wrong]!.name}, and ${classes![wrong]} in the data set`];
}

/**
 * Whether figures are those of a confusion matrix. They are compared exactly: the function that made them makes them again,
 * of whole numbers, by sums in the same order and divisions, which give the same bits on every machine.
 */
function classFigureProblems(evaluation: Evaluation, matrix: ConfusionMatrix): string[] {
  const expected = metrics(matrix);
  const problems: string[] = [];
  for (const name of ['mIoU', 'mAcc', 'aAcc'] as const) {
    if (evaluation[name] !== figure(expected[name])) {
      problems.push(`${name} is ${evaluation[name]}, and the confusion matrix gives ${figure(expected[name])}`);
    }
  }
  for (const [k, { name, iou, accuracy }] of evaluation.perClass.entries()) {
    const ofMatrix = { iou: figure(expected.iou[k]!), accuracy: figure(expected.accuracy[k]!) };
    if (iou !== ofMatrix.iou) {
      problems.push(`the IoU of ${name} is ${iou}, and the confusion matrix gives ${ofMatrix.iou}`);
    }
    if (accuracy !== ofMatrix.accuracy) {
      problems.push(`the accuracy of ${name} is ${accuracy}, and the confusion matrix gives ${ofMatrix.accuracy}`);
    }
  }
  return problems;
}

/** Whether so many images can have been evaluated. */
function imageProblems(
  { images, skippedImages, splitImages }: Evaluation,
  { experiment, dataset }: RunRecord,
): string[] {
  const accounted = images + skippedImages.length;
  if (splitImages !== undefined && accounted !== splitImages) {
    return [`${images} images and ${skippedImages.length} skipped ones, of ${splitImages}`];
  }
  const { limit } = experiment.evaluation;
  if (limit !== null && accounted > limit) return [`${accounted} images, and the recipe's limit is ${limit}`];
  // Fewer is a data set of one's own making, whose figures stand apart; what was painted has as many as were asked for.
  const published = dataset?.synthetic === false ? publishedImages(experiment.data.dataset)['val'] : undefined;
  const said = dataset?.deviations?.find(({ path }) => path === 'images.val')?.value;
  const most = typeof said === 'number' ? said : published;
  if (most !== undefined && accounted > most) {
    return [
      `${accounted} images, and ${most} were ${most === published ? 'published' : 'there, as its data set says'}`,
    ];
  }
  return [];
}

/** Both evaluations are of the same images and labels, whatever was predicted there. */
function differingLabels(one: Evaluation, other: Evaluation, matrices: readonly ConfusionMatrix[]): string[] {
  const total = ({ images, skippedImages }: Evaluation) => images + skippedImages.length;
  if (total(one) !== total(other)) {
    return [`details.evaluate is of ${total(one)} images, details.evaluate-ms of ${total(other)}`];
  }
  const skipped = (evaluation: Evaluation) => JSON.stringify([...evaluation.skippedImages].sort());
  if (skipped(one) !== skipped(other) || matrices.length < 2) return [];
  const [areas, others] = matrices.map((matrix) => matrix.labelAreas());
  const k = areas!.findIndex((area, k) => area !== others![k]);
  return k < 0
    ? []
    : [
        `${one.perClass[k]!.name} is labelled on ${areas![k]} pixels in details.evaluate, ${others![k]} in details.evaluate-ms`,
      ];
}

/** Both evaluations are of the same weights, which fit the network in the same way. */
function differingWeights({ loadReport: one }: Evaluation, { loadReport: other }: Evaluation): string[] {
  if (canonicalJson(one) === canonicalJson(other)) return [];
  return ['details.evaluate and details.evaluate-ms say differently how the weights fitted the network'];
}

/**
 * What is wrong with the evaluations of a record: figures that their confusion matrices do not give, images that there were
 * not, labels that differ between the two. Empty where nothing is.
 */
function evaluationProblems(record: RunRecord): string[] {
  const { details, experiment } = record;
  const problems: string[] = [];
  const matrices: ConfusionMatrix[] = [];
  for (const stage of EVALUATIONS) {
    const evaluation = details[stage];
    if (evaluation === null) continue;
    const matrix = matrixOf(evaluation, experiment.model.classes);
    const found = typeof matrix === 'string' ? [matrix] : classFigureProblems(evaluation, matrix);
    if (typeof matrix !== 'string') matrices.push(matrix);
    found.push(...classProblems(evaluation, record), ...imageProblems(evaluation, record));
    problems.push(...found.map((problem) => `details.${stage}: ${problem}`));
  }
  const { evaluate, 'evaluate-ms': multiScale } = details;
  if (evaluate !== null && multiScale !== null) {
    problems.push(...differingLabels(evaluate, multiScale, matrices), ...differingWeights(evaluate, multiScale));
  }
  return problems;
}

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
function stageProblems(record: RunRecord): string[] {
  const problems = [presenceProblems, amountProblems, fpsProblems, skippedProblems, timeProblems].flatMap((find) =>
    find(record),
  );
  // Operations are counted of a recipe that is the run's: one that was changed may be of any size.
  const ofTheRun = hashExperiment(record.experiment) === record.experimentHash && amountProblems(record).length === 0;
  return ofTheRun ? [...problems, ...shareProblems(record)] : problems;
}

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
  const values = recipeValues(experiment);
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
  const differing = [...recipeValues(experiment)].find(([path, value]) => {
    // Processors, which have no float16, run such a recipe in bfloat16.
    const replaced = path === 'training.precision' && value === 'bf16' && environment.device === 'cpu';
    const expected = recipeValues(asked).get(path);
    return canonicalJson(value) !== canonicalJson(expected) && !(replaced && expected === 'fp16');
  });
  if (differing === undefined) return [];
  const [path, value] = differing;
  return [`${path} is ${text(value)}, and the profile and the overrides give ${text(recipeValues(asked).get(path))}`];
}

/**
 * What is wrong with the recipe of a record: another hash than it has, names that contradict it, and, of a row of the package,
 * deviations, published figures or overrides that are not those of the experiment. Empty where nothing is.
 */
function recipeProblems(record: RunRecord, tables: readonly Table[]): string[] {
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
