/** What a reproduced figure says about the published one. */
export type Verdict = 'reproduced' | 'above' | 'below' | 'nothing published' | 'not run';

export interface VerdictOptions {
  readonly published: number | null;
  readonly reproduced: number | null;
  /** How far the two may lie apart and count as the same, in their unit. */
  readonly tolerance: number;
}

/** Judges a figure of which more is better. */
export function judge({ published, reproduced, tolerance }: VerdictOptions): Verdict {
  if (reproduced === null) return 'not run';
  if (published === null) return 'nothing published';
  // Figures are printed with two decimals, so a difference that prints as the tolerance is within it.
  const difference = Math.round((reproduced - published) * 100) / 100;
  if (Math.abs(difference) <= tolerance) return 'reproduced';
  return difference > 0 ? 'above' : 'below';
}
