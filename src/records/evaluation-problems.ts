import { describedDataset, publishedImages } from '../data/description.js';
import { ConfusionMatrix, metrics } from '../evaluation/confusion.js';
import { canonicalJson } from '../recipe/resolve.js';
import type { RunRecord } from './record.js';

type Evaluation = NonNullable<RunRecord['details']['evaluate']>;

export const jsonText = (value: unknown) => JSON.stringify(value) ?? 'nothing';

/** A problem if a value is not the expected one; `source` says where that is from: "the stages give". */
export function mismatch(name: string, found: unknown, source: string, expected: unknown): string[] {
  return jsonText(found) === jsonText(expected)
    ? []
    : [`${name} is ${jsonText(found)}, but ${source} ${jsonText(expected)}`];
}

/** Whether there is one non-negative whole number for each class. */
function areCounts(values: readonly number[], classes: number): boolean {
  return values.length === classes && values.every((value) => Number.isSafeInteger(value) && value >= 0);
}

/** The confusion matrix of an evaluation, or why it is invalid. */
function matrixOf({ confusion, outside, perClass }: Evaluation, classes: number): ConfusionMatrix | string {
  if (confusion.length !== classes || !confusion.every((row) => areCounts(row, classes))) {
    return `confusion is not ${classes} × ${classes} counts of pixels`;
  }
  if (outside !== undefined && ![outside.labels, outside.predictions].every((counts) => areCounts(counts, classes))) {
    return `outside is not ${classes} counts of labels and of predictions`;
  }
  if (perClass.length !== classes) return `perClass has ${perClass.length} classes, but the recipe has ${classes}`;
  return ConfusionMatrix.fromRows(confusion, outside ?? null);
}

/** Checks the names and order of classes if the package describes the data set. */
function classProblems({ perClass }: Evaluation, { experiment }: RunRecord): string[] {
  const { classes } = describedDataset(experiment.data.dataset) ?? {};
  const wrong = perClass.findIndex(({ name }, k) => name !== (classes?.[k] ?? name));
  return wrong < 0 ? [] : [`class ${wrong} is ${perClass[wrong]!.name}, but ${classes![wrong]} in the data set`];
}

/**
 * Compares figures exactly with those of the confusion matrix. The same function, summing whole numbers in the same order,
 * gives the same bits on every machine.
 */
function classFigureProblems(evaluation: Evaluation, matrix: ConfusionMatrix): string[] {
  const expected = metrics(matrix);
  // A record holds null for an undefined figure.
  const compare = (name: string, found: number | null, value: number) =>
    mismatch(name, found, 'the confusion matrix gives', Number.isNaN(value) ? null : value);
  return [
    ...(['mIoU', 'mAcc', 'aAcc'] as const).flatMap((name) => compare(name, evaluation[name], expected[name])),
    ...evaluation.perClass.flatMap(({ name, iou, accuracy }, k) => [
      ...compare(`the IoU of ${name}`, iou, expected.iou[k]!),
      ...compare(`the accuracy of ${name}`, accuracy, expected.accuracy[k]!),
    ]),
  ];
}

const totalImages = ({ images, skippedImages }: Evaluation) => images + skippedImages.length;

/** Checks the number of images against the split, the recipe's limit and the published data set. */
function imageProblems(evaluation: Evaluation, { experiment, dataset }: RunRecord): string[] {
  const { images, skippedImages, splitImages } = evaluation;
  const total = totalImages(evaluation);
  if (splitImages !== undefined && total !== splitImages) {
    return [`${images} images and ${skippedImages.length} skipped ones, but the split has ${splitImages}`];
  }
  const { limit } = experiment.evaluation;
  if (limit !== null && total > limit) return [`${total} images, but the recipe's limit is ${limit}`];
  // Fewer images are possible: such figures are not comparable. A generated data set has any number.
  const published = dataset?.synthetic === false ? publishedImages(experiment.data.dataset)['val'] : undefined;
  const recorded = dataset?.deviations?.find(({ path }) => path === 'images.val')?.value;
  const most = typeof recorded === 'number' ? recorded : published;
  if (most === undefined || total <= most) return [];
  return [`${total} images, but ${most === published ? `${most} were published` : `its data set has ${most}`}`];
}

/** Checks that both evaluations have the same images and labels. */
function differingLabels(single: Evaluation, multi: Evaluation, matrices: readonly ConfusionMatrix[]): string[] {
  if (totalImages(single) !== totalImages(multi)) {
    return [`details.evaluate has ${totalImages(single)} images, details.evaluate-ms has ${totalImages(multi)}`];
  }
  const skipped = (evaluation: Evaluation) => JSON.stringify([...evaluation.skippedImages].sort());
  if (skipped(single) !== skipped(multi) || matrices.length < 2) return [];
  const [areas, multiAreas] = matrices.map((matrix) => matrix.labelAreas());
  const k = areas!.findIndex((area, k) => area !== multiAreas![k]);
  if (k < 0) return [];
  const { name } = single.perClass[k]!;
  return [`${name} is labelled on ${areas![k]} pixels in details.evaluate, ${multiAreas![k]} in details.evaluate-ms`];
}

/** Checks that the best checkpoint is another than the last, better, and one that was evaluated during training. */
function bestProblems({ details, experiment }: RunRecord, stage: 'evaluate' | 'evaluate-ms'): string[] {
  const { train, evaluate } = details;
  const best = details[stage]?.best;
  if (best === undefined) return [];
  const { iterations } = experiment.training;
  return [
    ...(train === null ? ['it is of a training, but there was none'] : []),
    ...(best.iteration < iterations
      ? []
      : [`it is of iteration ${best.iteration} of ${iterations}, expected an earlier one`]),
    ...(evaluate === null || (train?.bestValidation?.mIoU ?? 0) > evaluate.mIoU
      ? []
      : ['its mIoU during training is not above that of the last checkpoint']),
    ...mismatch(
      'its iteration',
      best.iteration,
      'the evaluations during training say',
      train?.bestValidation?.iteration,
    ),
  ];
}

/**
 * Checks the evaluations of a record: figures against their confusion matrices, numbers of images, and both evaluations against
 * each other.
 */
export function evaluationProblems(record: RunRecord): string[] {
  const { evaluate, 'evaluate-ms': multiScale } = record.details;
  const problems: string[] = [];
  const matrices: ConfusionMatrix[] = [];
  const add = (name: string, evaluation: Evaluation | null | undefined, others: readonly string[] = []) => {
    if (evaluation == null) return;
    const matrix = matrixOf(evaluation, record.experiment.model.classes);
    const found = typeof matrix === 'string' ? [matrix] : classFigureProblems(evaluation, matrix);
    if (typeof matrix !== 'string') matrices.push(matrix);
    found.push(...classProblems(evaluation, record), ...imageProblems(evaluation, record), ...others);
    problems.push(...found.map((problem) => `details.${name}: ${problem}`));
  };
  add('evaluate.best', evaluate?.best, bestProblems(record, 'evaluate'));
  add('evaluate-ms.best', multiScale?.best, bestProblems(record, 'evaluate-ms'));
  if (evaluate?.best !== undefined && multiScale?.best !== undefined) {
    problems.push(
      ...mismatch(
        'details.evaluate.best: the SHA-256 of its weights',
        evaluate.best.sha256,
        'details.evaluate-ms.best has',
        multiScale.best.sha256,
      ),
    );
  }
  matrices.length = 0;
  add('evaluate', evaluate);
  add('evaluate-ms', multiScale);
  if (evaluate === null || multiScale === null) return problems;
  problems.push(...differingLabels(evaluate, multiScale, matrices));
  if (canonicalJson(evaluate.loadReport) !== canonicalJson(multiScale.loadReport)) {
    problems.push('details.evaluate and details.evaluate-ms disagree on how the weights fit the network');
  }
  return problems;
}
