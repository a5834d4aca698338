import { describedDataset, publishedImages } from '../data/description.js';
import { ConfusionMatrix, metrics } from '../evaluation/confusion.js';
import { canonicalJson } from '../recipe/resolve.js';
import type { RunRecord } from './record.js';

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
function figureProblems(evaluation: Evaluation, matrix: ConfusionMatrix): string[] {
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
export function evaluationProblems(record: RunRecord): string[] {
  const { details, experiment } = record;
  const problems: string[] = [];
  const matrices: ConfusionMatrix[] = [];
  for (const stage of EVALUATIONS) {
    const evaluation = details[stage];
    if (evaluation === null) continue;
    const matrix = matrixOf(evaluation, experiment.model.classes);
    const found = typeof matrix === 'string' ? [matrix] : figureProblems(evaluation, matrix);
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
