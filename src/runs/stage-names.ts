/** The parts of a run, in their order. */
export const STAGE_NAMES = ['train', 'evaluate', 'evaluate-ms', 'benchmark'] as const;
export type Stage = (typeof STAGE_NAMES)[number];
