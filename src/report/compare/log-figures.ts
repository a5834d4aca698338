import type { PublishedLog } from './published-log.js';

/** Of the last evaluation, percent, and most of one GPU, GB; null where they were not logged. */
export interface LoggedFigures {
  readonly mIoU: number | null;
  readonly memoryGB: number | null;
}

export function loggedFigures({ train, validation }: PublishedLog): LoggedFigures {
  const mIoU = validation.at(-1)?.mIoU ?? Number.NaN;
  const memory = train.map(({ memoryBytes }) => memoryBytes).filter(Number.isFinite);
  return {
    mIoU: Number.isNaN(mIoU) ? null : mIoU * 100,
    memoryGB: memory.length === 0 ? null : memory.reduce((most, bytes) => Math.max(most, bytes)) / 2 ** 30,
  };
}
