import type { PublishedFigures } from '../experiments/experiment.js';

/** The figures of a table's row, in the order of its columns. */
export const FIGURES = ['memoryGB', 'fps', 'mIoU', 'mIoUMsFlip'] as const satisfies readonly (keyof PublishedFigures)[];
export type Figure = (typeof FIGURES)[number];

/** As the published tables head their columns. */
export const FIGURE_HEADINGS: Readonly<Record<Figure, string>> = {
  memoryGB: 'Mem (GB)',
  fps: 'Inf time (fps)',
  mIoU: 'mIoU',
  mIoUMsFlip: 'mIoU (ms+flip)',
};
