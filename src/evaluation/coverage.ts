import { occurNowhere } from '../data/datasets/held-labels.js';

/** A class's figures, null where nothing defines them: IoU where it is neither labelled nor predicted, accuracy where not labelled. */
interface ClassFigures {
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
