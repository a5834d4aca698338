import { occurNowhere } from '../data/held-labels.js';

/** Counts of pixels of which either the label or the prediction is no class. */
export interface OutsideCounts {
  /** [classes]: predicted as class k, where the label is no class and not ignored. */
  readonly labels: readonly number[];
  /** [classes]: labelled as class k, where the prediction is no class. */
  readonly predictions: readonly number[];
}

/**
 * Exact counts of labelled against predicted classes, over any number of images.
 *
 * Counts are integers in float64: exact up to 2^53 pixels (four billion images of 2048×1024).
 * Pixels whose label is `ignoreIndex` are left out altogether, of the predictions' areas too. A label or prediction that is
 * no class (and not ignored) is counted apart, in `outside`: such a label adds to the predicted class's area and to no
 * label's area, as in the original's histograms over 0 … classes − 1.
 */
export class ConfusionMatrix {
  /** [classes + 1, classes + 1], label by prediction, row-major; the last row and column are values outside the classes. */
  private readonly counts: Float64Array;

  constructor(
    readonly classes: number,
    readonly ignoreIndex = 255,
  ) {
    this.counts = new Float64Array((classes + 1) ** 2);
  }

  /**
   * The matrix of counts as {@link toRows} and {@link outside} give them. Pixels of which neither is a class are not among
   * them; no figure depends on those.
   * @param rows [classes][classes], label by prediction.
   * @throws Error where the counts are not classes × classes, and classes outside.
   */
  static fromRows(rows: readonly (readonly number[])[], outside: OutsideCounts | null): ConfusionMatrix {
    const { length: classes } = rows;
    const none = new Array<number>(classes).fill(0);
    const { labels, predictions } = outside ?? { labels: none, predictions: none };
    if ([...rows, labels, predictions].some(({ length }) => length !== classes)) {
      throw new Error(`Counts that are not of ${classes} classes.`);
    }
    const matrix = new ConfusionMatrix(classes);
    matrix.restore([...rows.flatMap((row, label) => [...row, predictions[label]!]), ...labels, 0]);
    return matrix;
  }

  /**
   * Adds one image; both maps hold one value a pixel, in the same order.
   * @throws Error when their lengths differ.
   */
  add(prediction: ArrayLike<number>, label: ArrayLike<number>): void {
    if (prediction.length !== label.length)
      throw new Error(`A prediction of ${prediction.length} pixels for a label of ${label.length} pixels.`);
    const { classes, counts, ignoreIndex } = this;
    const stride = classes + 1;
    for (let i = 0; i < label.length; i++) {
      const labelled = label[i]!;
      if (labelled === ignoreIndex) continue;
      const predicted = prediction[i]!;
      const row = labelled >= 0 && labelled < classes ? labelled : classes;
      const column = predicted >= 0 && predicted < classes ? predicted : classes;
      counts[row * stride + column]! += 1;
    }
  }

  /** All counts, those outside the classes too: what `restore` takes. */
  toCounts(): number[] {
    return [...this.counts];
  }

  /** Sets all counts. @throws Error when they are of another number of classes. */
  restore(counts: readonly number[]): void {
    if (counts.length !== this.counts.length) throw new Error(`${counts.length} counts for ${this.counts.length}.`);
    this.counts.set(counts);
  }

  /** Pixels labelled `label` and predicted as `prediction`; `classes` stands for "outside the classes". */
  count(label: number, prediction: number): number {
    return this.counts[label * (this.classes + 1) + prediction]!;
  }

  /** Pixels labelled as class k and predicted as class k, for each k. */
  intersections(): number[] {
    return Array.from({ length: this.classes }, (_, k) => this.count(k, k));
  }

  /** Pixels labelled as class k, whatever was predicted there. */
  labelAreas(): number[] {
    return this.sums((k, other) => this.count(k, other));
  }

  /** Not ignored pixels predicted as class k, whatever their label. */
  predictionAreas(): number[] {
    return this.sums((k, other) => this.count(other, k));
  }

  /** [classes][classes], label by prediction. */
  toRows(): number[][] {
    return Array.from({ length: this.classes }, (_, label) =>
      Array.from({ length: this.classes }, (_, prediction) => this.count(label, prediction)),
    );
  }

  /** What {@link toRows} leaves out and the areas contain; null where that is nothing. */
  outside(): OutsideCounts | null {
    const { classes } = this;
    const labels = Array.from({ length: classes }, (_, k) => this.count(classes, k));
    const predictions = Array.from({ length: classes }, (_, k) => this.count(k, classes));
    return [...labels, ...predictions].some((count) => count > 0) ? { labels, predictions } : null;
  }

  private sums(count: (k: number, other: number) => number): number[] {
    return Array.from({ length: this.classes }, (_, k) => {
      let sum = 0;
      for (let other = 0; other <= this.classes; other++) sum += count(k, other);
      return sum;
    });
  }
}

/** Figures of a confusion matrix, as fractions (0–1). NaN where nothing defines them. */
export interface Metrics {
  /** Mean intersection over union of the classes that were labelled or predicted. */
  readonly mIoU: number;
  /** Mean accuracy (recall) of the classes that were labelled. */
  readonly mAcc: number;
  /** Accuracy over all pixels that carry a class. */
  readonly aAcc: number;
  /** For each class: NaN where it was neither labelled nor predicted; 0 where it was only predicted. */
  readonly iou: readonly number[];
  /** For each class: NaN where it was not labelled. */
  readonly accuracy: readonly number[];
}

/**
 * Metrics of a confusion matrix. Areas were summed over all images before anything is divided, so an image weighs by its
 * pixels; means leave out the classes without a figure.
 */
export function metrics(confusion: ConfusionMatrix): Metrics {
  const intersections = confusion.intersections();
  const labels = confusion.labelAreas();
  const predictions = confusion.predictionAreas();
  // 0/0 is NaN: a class that occurs nowhere.
  const iou = intersections.map((intersection, k) => intersection / (labels[k]! + predictions[k]! - intersection));
  const accuracy = intersections.map((intersection, k) => intersection / labels[k]!);
  return {
    mIoU: meanOfFigures(iou),
    mAcc: meanOfFigures(accuracy),
    aAcc: sum(intersections) / sum(labels),
    iou,
    accuracy,
  };
}

function meanOfFigures(values: readonly number[]): number {
  const figures = values.filter((value) => !Number.isNaN(value));
  return sum(figures) / figures.length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** A class's figures, null where nothing defines them: IoU where it is neither labelled nor predicted, accuracy where not labelled. */
export interface ClassFigures {
  readonly name: string;
  readonly iou: number | null;
  readonly accuracy: number | null;
}

/**
 * Over which classes a mean was taken, where not all of them are labelled: "mIoU over 1 of 2 classes: coin occurs in no label".
 * A class that is not labelled counts as 0 where it is predicted, and else not at all. Null where every class is labelled.
 */
export function describeCoverage(classes: readonly ClassFigures[]): string | null {
  const unlabelled = classes.filter(({ accuracy }) => accuracy === null);
  if (unlabelled.length === 0) return null;
  const counted = classes.filter(({ iou }) => iou !== null).length;
  const predicted = unlabelled.filter(({ iou }) => iou !== null).length;
  const asZero =
    predicted === 0
      ? ''
      : unlabelled.length === 1
        ? ', but is predicted and counts as 0'
        : `; ${predicted} of them ${predicted === 1 ? 'is' : 'are'} predicted and ${predicted === 1 ? 'counts' : 'count'} as 0`;
  return `mIoU over ${counted} of ${classes.length} classes: ${occurNowhere(unlabelled.map(({ name }) => name))}${asZero}`;
}
