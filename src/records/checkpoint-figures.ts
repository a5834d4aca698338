import { formatPercent } from '../support/format.js';
import type { RunRecord } from './record.js';

/** A checkpoint of a training and its figures, fractions; null if it was not evaluated so. */
export interface CheckpointFigures {
  readonly iteration: number;
  readonly mIoU: number | null;
  readonly mIoUMsFlip: number | null;
}

/** In percent, as a record's figures are. */
export function checkpointPercents({ last, best }: MarkedCheckpoints): MarkedCheckpoints {
  const percent = (fraction: number | null) => (fraction === null ? null : fraction * 100);
  const inPercent = ({ iteration, mIoU, mIoUMsFlip }: CheckpointFigures) => ({
    iteration,
    mIoU: percent(mIoU),
    mIoUMsFlip: percent(mIoUMsFlip),
  });
  return { last: inPercent(last), best: best && inPercent(best) };
}

/** The checkpoints that RUN:last and RUN:best name. `best`: null if none was evaluated during training; it may be the last. */
export interface MarkedCheckpoints {
  readonly last: CheckpointFigures;
  readonly best: CheckpointFigures | null;
}

/** The marked checkpoints of a completed training; null if the run trained nothing. */
export function markedCheckpoints({
  details: { train, evaluate, 'evaluate-ms': multiScale },
  experiment,
}: Pick<RunRecord, 'details' | 'experiment'>): MarkedCheckpoints | null {
  if (train === null) return null;
  const { iterations } = experiment.training;
  const during = train.bestValidation;
  const atEnd = during?.iteration === iterations ? during.mIoU : null;
  const last = { iteration: iterations, mIoU: evaluate?.mIoU ?? atEnd, mIoUMsFlip: multiScale?.mIoU ?? null };
  if (during === undefined) return { last, best: null };
  // The stage that evaluates the last checkpoint does so after training; of equal ones, the newest is the best.
  const lastIsBest = evaluate !== null && evaluate.best === undefined && during.mIoU <= evaluate.mIoU;
  if (lastIsBest || during.iteration === iterations) return { last, best: last };
  const { iteration } = during;
  return {
    last,
    best: { iteration, mIoU: evaluate?.best?.mIoU ?? during.mIoU, mIoUMsFlip: multiScale?.best?.mIoU ?? null },
  };
}

/** "after iteration 40: mIoU 28.00, ms+flip 29.10" */
export function formatCheckpoint({ iteration, mIoU, mIoUMsFlip }: CheckpointFigures): string {
  const figures = [
    ...(mIoU === null ? [] : [`mIoU ${formatPercent(mIoU)}`]),
    ...(mIoUMsFlip === null ? [] : [`ms+flip ${formatPercent(mIoUMsFlip)}`]),
  ];
  return `after iteration ${iteration}${figures.length === 0 ? '' : `: ${figures.join(', ')}`}`;
}

/** "the last, after iteration 100: …" if it is the last. */
export function formatBest({ last, best }: MarkedCheckpoints): string | null {
  if (best === null) return null;
  return best.iteration === last.iteration ? `the last, ${formatCheckpoint(last)}` : formatCheckpoint(best);
}
