import { describeAbsentClasses } from '../data/label-inventory.js';

/** Counts of pixels whose label or prediction is no class. */
export interface OutsideCounts {
  /** [classes]: predicted as class k; the label is no class and not ignored. */
  readonly labels: readonly number[];
  /** [classes]: labelled as class k; the prediction is no class. */
  readonly predictions: readonly number[];
}

/**
 * Exact counts of labelled against predicted classes, over any number of images.
 *
 * Counts are integers in float64: exact up to 2^53 pixels (four billion images of 2048×1024).
 * Pixels whose label is `ignoreIndex` count nowhere, not even in the predictions' areas. A label or prediction that is no class
 * (and not ignored) is counted in `outside`: such a label adds to the predicted class's area and to no label's area, as in the
 * original's histograms over 0 … classes − 1.
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
   * The matrix from the results of {@link toRows} and {@link outside}. They lack the pixels whose label and prediction are both
   * no class; no figure depends on those.
   * @param rows [classes][classes], label by prediction.
   * @throws Error unless the counts are classes × classes, and `classes` in each list of `outside`.
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
   * @throws Error if their lengths differ.
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

  /** The counts that are not 0, for `addSparse`: [place, count] of each. */
  toSparse(): [place: number, count: number][] {
    return [...this.counts.entries()].filter(([, count]) => count > 0);
  }

  /** Adds the counts of another matrix of the same classes. @throws Error if a place is not in the matrix. */
  addSparse(counts: readonly (readonly [place: number, count: number])[]): void {
    for (const [place, count] of counts) {
      if (this.counts[place] === undefined) throw new Error(`No count ${place} of ${this.classes} classes.`);
      this.counts[place]! += count;
    }
  }

  /** All counts, including those outside the classes, for `restore`. */
  toCounts(): number[] {
    return [...this.counts];
  }

  /** Sets all counts. @throws Error if they are of another number of classes. */
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

  /** Pixels labelled as class k, with any prediction. */
  labelAreas(): number[] {
    return this.sums((k, prediction) => this.count(k, prediction));
  }

  /** Pixels predicted as class k, with any label that is not ignored. */
  predictionAreas(): number[] {
    return this.sums((k, label) => this.count(label, k));
  }

  /** [classes][classes], label by prediction. */
  toRows(): number[][] {
    return Array.from({ length: this.classes }, (_, label) =>
      Array.from({ length: this.classes }, (_, prediction) => this.count(label, prediction)),
    );
  }

  /** Counts that the areas contain but {@link toRows} leaves out; null if all are 0. */
  outside(): OutsideCounts | null {
    const { classes } = this;
    const labels = Array.from({ length: classes }, (_, k) => this.count(classes, k));
    const predictions = Array.from({ length: classes }, (_, k) => this.count(k, classes));
    return [...labels, ...predictions].some((count) => count > 0) ? { labels, predictions } : null;
  }

  /** For each class k, the sum of a row or a column of the matrix. */
  private sums(count: (k: number, i: number) => number): number[] {
    return Array.from({ length: this.classes }, (_, k) => {
      let sum = 0;
      for (let i = 0; i <= this.classes; i++) sum += count(k, i);
      return sum;
    });
  }
}

/** Figures of a confusion matrix, as fractions (0–1). NaN if undefined. */
export interface Metrics {
  /** Mean intersection over union of the classes that were labelled or predicted. */
  readonly mIoU: number;
  /** Mean accuracy (recall) of the classes that were labelled. */
  readonly mAcc: number;
  /** Accuracy over all pixels labelled with a class. */
  readonly aAcc: number;
  /** For each class: NaN if it was neither labelled nor predicted; 0 if it was only predicted. */
  readonly iou: readonly number[];
  /** For each class: NaN if it was not labelled. */
  readonly accuracy: readonly number[];
}

/**
 * Metrics of a confusion matrix. Areas are summed over all images before any division, so an image counts by its pixels; means
 * leave out undefined figures.
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

/** A class's figures. IoU is null if it is neither labelled nor predicted, accuracy if it is not labelled. */
export interface ClassFigures {
  readonly name: string;
  readonly iou: number | null;
  readonly accuracy: number | null;
}

/**
 * Which classes a mean covers if not all are labelled: "mIoU over 1 of 2 classes: coin occurs in no label". A class that is not
 * labelled counts as 0 if it is predicted, and otherwise not at all. Null if every class is labelled.
 */
export function describeCoverage(classes: readonly ClassFigures[]): string | null {
  const unlabelled = classes.filter(({ accuracy }) => accuracy === null);
  if (unlabelled.length === 0) return null;
  const counted = classes.filter(({ iou }) => iou !== null).length;
  const predicted = unlabelled.filter(({ iou }) => iou !== null).length;
  const asZero = predicted === 1 ? 'is predicted and counts as 0' : 'are predicted and count as 0';
  const zeros = predicted === 0 ? '' : unlabelled.length === 1 ? `, but ${asZero}` : `; ${predicted} of them ${asZero}`;
  return `mIoU over ${counted} of ${classes.length} classes: ${describeAbsentClasses(unlabelled.map(({ name }) => name))}${zeros}`;
}
