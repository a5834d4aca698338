import type { ConfusionMatrix } from './confusion.js';

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
