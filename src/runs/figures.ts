import type { RunRecord } from './record.js';

/** The figures of a table's row, in its units. */
export function figuresOf({
  evaluate,
  'evaluate-ms': multiScale,
  benchmark,
}: RunRecord['details']): RunRecord['figures'] {
  return {
    memoryGB: benchmark === null ? null : benchmark.memory.liveTensorBytes / 2 ** 30,
    fps: benchmark?.fps ?? null,
    mIoU: evaluate === null ? null : evaluate.mIoU * 100,
    mIoUMsFlip: multiScale === null ? null : multiScale.mIoU * 100,
  };
}
