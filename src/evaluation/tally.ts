import type { Dataset } from '../data/dataset.js';
import { IGNORE_INDEX } from '../data/image.js';
import { UserError } from '../support/errors.js';
import { ConfusionMatrix, metrics, type OutsideCounts } from './confusion.js';
import type { Counted } from './position.js';

export interface EvaluationProgress {
  readonly done: number;
  readonly total: number;
  /** Mean of this process's images, data loading included. */
  readonly secondsPerImage: number;
  /** Of the images so far, as a fraction; null if none of their pixels is labelled with a class. */
  readonly mIoU: number | null;
}

/** Figures are fractions (0–1). */
export interface EvaluationResult {
  readonly images: number;
  /** Names of unreadable images, which were left out. */
  readonly skippedImages: readonly string[];
  /** Images of the split, up to the recipe's limit. */
  readonly splitImages: number;
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  /** IoU is null for a class neither labelled nor predicted, accuracy for one not labelled. */
  readonly perClass: { name: string; iou: number | null; accuracy: number | null }[];
  /** Pixels, [label][prediction]. */
  readonly confusion: number[][];
  /** Counts that the classes' areas contain but the matrix leaves out; absent if all are 0. */
  readonly outside?: OutsideCounts;
  readonly seconds: number;
}

const figure = (value: number) => (Number.isNaN(value) ? null : value);

/** What an evaluation has counted so far, and when it began. */
export class EvaluationTally {
  readonly confusion: ConfusionMatrix;
  done: number;
  private readonly start = performance.now();
  private readonly doneBefore: number;

  constructor(
    private readonly dataset: Pick<Dataset, 'name' | 'classes'>,
    /** Images of the split. */
    private readonly total: number,
    private readonly previous: Counted | null,
  ) {
    this.confusion = new ConfusionMatrix(dataset.classes.length, IGNORE_INDEX);
    if (previous !== null) this.confusion.restore(previous.counts);
    this.doneBefore = previous?.done ?? 0;
    this.done = this.doneBefore;
  }

  get progress(): EvaluationProgress {
    const secondsPerImage = this.secondsHere / Math.max(1, this.done - this.doneBefore);
    return { done: this.done, total: this.total, secondsPerImage, mIoU: figure(metrics(this.confusion).mIoU) };
  }

  /** @param leftOut Names of the images that this process has left out so far. */
  counted(leftOut: readonly string[]): Counted {
    const skippedImages = [...(this.previous?.skippedImages ?? []), ...leftOut];
    return { done: this.done, counts: this.confusion.toCounts(), seconds: this.seconds, skippedImages };
  }

  /** @throws UserError if no pixel is labelled with a class. */
  result(leftOut: readonly string[]): EvaluationResult {
    const { confusion, dataset, done } = this;
    const { mIoU, mAcc, aAcc, iou, accuracy } = metrics(confusion);
    const outside = confusion.outside();
    if (Number.isNaN(aAcc)) {
      throw new UserError(
        `No pixel of the ${done} validation images of ${dataset.name} is labelled with a class: there is nothing to measure.`,
        'Check the labels of the validation split.',
      );
    }
    return {
      images: done,
      skippedImages: this.counted(leftOut).skippedImages,
      splitImages: this.total,
      mIoU,
      mAcc,
      aAcc,
      perClass: dataset.classes.map((name, k) => ({ name, iou: figure(iou[k]!), accuracy: figure(accuracy[k]!) })),
      confusion: confusion.toRows(),
      ...(outside !== null && { outside }),
      seconds: this.seconds,
    };
  }

  private get secondsHere(): number {
    return (performance.now() - this.start) / 1000;
  }

  private get seconds(): number {
    return (this.previous?.seconds ?? 0) + this.secondsHere;
  }
}
