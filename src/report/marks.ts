import type { Cell } from './cell.js';

type Marked = Pick<Cell, 'givenWeights' | 'continued'>;

const NOTES = {
  givenWeights: '† Evaluated with weights that were given, not trained here.',
  continued:
    '‡ The run went on under another version, on another machine or with mended data: the last digits may differ.',
} as const;

/** What stands behind a figure: † where its weights were given, ‡ where its run went on under changed circumstances. */
export function marksOf({ givenWeights, continued }: Marked): string {
  return `${givenWeights ? '†' : ''}${continued ? '‡' : ''}`;
}

/** What the marks of some figures mean, a line each. */
export function markNotes(figures: readonly Marked[]): string[] {
  return (['givenWeights', 'continued'] as const)
    .filter((mark) => figures.some((figure) => figure[mark]))
    .map((mark) => NOTES[mark]);
}

const DIGITS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/**
 * A raised number for each hardware, in the order of their first use, so that a figure can say which it is of.
 * @param names Of each figure, null where it does not depend on hardware.
 * @returns Empty where all figures are of one.
 */
export function hardwareMarks(names: readonly (string | null)[]): ReadonlyMap<string, string> {
  const distinct = [...new Set(names.flatMap((name) => name ?? []))];
  if (distinct.length < 2) return new Map();
  return new Map(distinct.map((name, i) => [name, [...String(i + 1)].map((digit) => DIGITS[Number(digit)]).join('')]));
}
