import type { Tolerance } from './tolerances.js';

/** One quantity compared with the reference, over all values of it in a case. */
export interface Check {
  readonly case: string;
  readonly quantity: string;
  readonly tolerance: number;
  readonly unit: Tolerance['unit'];
  /** The worst difference found. Not finite if a value was not a number or had the wrong shape, or if nothing was compared. */
  readonly difference: number;
  /** Place of the worst difference: a file, parameter, step or pixel. */
  readonly at: string;
  readonly passed: boolean;
  /** Why the tolerance is what it is. */
  readonly reason: string;
}

/** The result of a case: its checks, and the quantities for which its folder has no reference. */
export interface Findings {
  readonly checks: readonly Check[];
  readonly absent: readonly string[];
}

/** Collects the checks of one case. */
export class Collector implements Findings {
  readonly checks: Check[] = [];
  readonly absent: string[] = [];

  constructor(private readonly name: string) {}

  add(quantity: string, { limit, unit, reason }: Tolerance, { difference, at }: Worst): void {
    const passed = Number.isFinite(difference) && difference <= limit;
    this.checks.push({ case: this.name, quantity, tolerance: limit, unit, difference, at, passed, reason });
  }

  /** Notes that the set has no reference for a quantity. */
  missing(quantity: string): void {
    this.absent.push(quantity);
  }
}

/** The worst of several differences. NaN is worse than any number, and so is no comparison at all. */
export class Worst {
  /** Whether anything was compared. */
  compared = false;
  /** The worst so far; `Infinity` if nothing was compared. */
  difference = Number.POSITIVE_INFINITY;
  at = 'nothing to compare';

  add(difference: number, at: string): this {
    const size = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.abs(difference);
    if (!this.compared || size > this.difference) Object.assign(this, { compared: true, difference: size, at });
    return this;
  }
}

/** A check as one line. */
export function describeCheck({ case: name, quantity, difference, tolerance, unit, at }: Check): string {
  return `${name}: ${quantity}: worst ${difference} (at ${at}), at most ${tolerance} ${unit} allowed`;
}

/** Measures of an array's difference from its reference. All give NaN or Infinity if a value is NaN or the length is wrong. */

type Values = ArrayLike<number>;

/** Largest |actual − expected|. */
export function largestDifference(actual: Values, expected: Values): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i]! - expected[i]!);
    // Comparisons with NaN are false: it must not pass as equal.
    if (!(distance <= largest)) largest = distance;
    if (Number.isNaN(largest)) return largest;
  }
  return largest;
}

/** Mean |actual − expected|. */
export function meanDifference(actual: Values, expected: Values): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) sum += Math.abs(actual[i]! - expected[i]!);
  return sum / expected.length;
}

/** Largest difference as a part of the largest expected magnitude: for sums of products, whose small results have the
 * rounding of the large ones. */
export function differenceOfLargest(actual: Values, expected: Values): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  return share(largestDifference(actual, expected), largest);
}

/** |actual − expected| as a part of |expected|. */
export function relativeDifference(actual: number, expected: number): number {
  return share(Math.abs(actual - expected), Math.abs(expected));
}

/** Euclidean norm, in float64. */
export function norm(values: Values): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
}

/** ‖actual − expected‖ / ‖expected‖. */
export function relativeDistance(actual: Values, expected: Values): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) sum += (actual[i]! - expected[i]!) ** 2;
  return share(Math.sqrt(sum), norm(expected));
}

/** 1 − the cosine of the angle between two arrays. */
export function angularDistance(actual: Values, expected: Values): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let product = 0;
  for (let i = 0; i < expected.length; i++) product += actual[i]! * expected[i]!;
  return 1 - product / (norm(actual) * norm(expected));
}

/** The value below which `portion` of the values are (0.5: the median). NaN if a value is NaN or there is none. */
export function quantile(values: readonly number[], portion: number): number {
  if (values.length === 0 || values.some(Number.isNaN)) return Number.NaN;
  return [...values].sort((a, b) => a - b)[Math.floor(portion * (values.length - 1))]!;
}

function share(part: number, whole: number): number {
  return part === 0 ? 0 : part / whole;
}
