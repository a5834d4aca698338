import type { PublishedFigures } from '../recipe/experiment.js';
import type { RunRecord } from './record.js';

/** The figures of a table's row, in the order of its columns. */
export const FIGURES = ['memoryGB', 'fps', 'mIoU', 'mIoUMsFlip'] as const satisfies readonly (keyof PublishedFigures)[];
export type Figure = (typeof FIGURES)[number];

/** As the published tables head their columns. */
export const FIGURE_HEADINGS: Readonly<Record<Figure, string>> = {
  memoryGB: 'Mem (GB)',
  fps: 'Inf time (fps)',
  mIoU: 'mIoU',
  mIoUMsFlip: 'mIoU(ms+flip)',
};

/** Short heads of columns, in the order of `FIGURES`. */
export const FIGURE_COLUMNS = ['Mem', 'fps', 'mIoU', 'ms+flip'] as const;

/** Whether a figure says as much about the hardware as about the code. */
export function dependsOnHardware(figure: Figure): boolean {
  return figure === 'memoryGB' || figure === 'fps';
}

/** A figure with two decimals; a dash where there is none. */
export function formatFigure(value: number | null): string {
  return value === null ? '–' : value.toFixed(2);
}

/** A figure with two decimals, or two digits where it is smaller than a tenth: a small network's memory. */
export function formatSmallFigure(value: number | null): string {
  return value === null || value === 0 || value >= 0.1 ? formatFigure(value) : value.toPrecision(2);
}

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
