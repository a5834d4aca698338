import type { RawFigures } from './log-lines.js';

/** What the figures of an evaluation's line are given in. */
export type Unit = 'fraction' | 'percent';

/** Rounding may take a fraction so far above 1. */
const ONE = 1 + 1e-6;
const PERCENT_DECIMALS = 2;
/** The least mIoU beside aAcc that is taken for fractions: see `unitsOf`. */
const LEAST_RATIO = 0.2;

const largest = ({ all }: RawFigures) => all.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);

/** Decimals of a number as JSON writes it. */
function decimals(value: number): number {
  const [, after = '', exponent = '0'] = /^-?\d+(?:\.(\d+))?(?:e(.+))?$/.exec(String(value)) ?? [];
  return Math.max(0, after.length - Number(exponent));
}

const fine = ({ all }: RawFigures) => all.some((value) => decimals(value) > PERCENT_DECIMALS);

/**
 * The unit of each evaluation of a log: 0.x wrote fractions, 1.x percent. It is the whole line's, told by its largest value,
 * which is aAcc or a class: a rare class of a line in percent is below 1, too.
 *
 * A line without a value above 1 is in fractions, unless other lines of the log are in percent. Then it is either of another
 * version or of a network that gets less than 1 % of all pixels right. Percent are rounded to two decimals, so more of them
 * say fractions; and so does an mIoU that is not far below aAcc, since a network that gets nearly every pixel wrong has next to no
 * class right. Otherwise such a line is in percent as the others are.
 * @returns `inferred`: indices of the lines that took more than their own largest value.
 */
export function unitsOf(evaluations: readonly RawFigures[]): { units: Unit[]; inferred: number[] } {
  const percent = evaluations.filter((figures) => largest(figures) > ONE);
  const rounded = percent.length > 0 && !percent.some(fine);
  const inferred: number[] = [];
  const units = evaluations.map((figures, i): Unit => {
    if (largest(figures) > ONE) return 'percent';
    if (percent.length === 0 || figures.all.length === 0 || largest(figures) <= 0) return 'fraction';
    inferred.push(i);
    if (rounded && fine(figures)) return 'fraction';
    return figures.mIoU >= LEAST_RATIO * figures.aAcc ? 'fraction' : 'percent';
  });
  return { units, inferred };
}
