import { meanAndDeviation } from '../spread.js';

/** A two-sided test of whether two means differ by more than chance. */
export interface Significance {
  /** "welch": means over seeds on both sides; "prediction": one more value beside the mean over seeds. */
  readonly test: 'welch' | 'prediction';
  readonly n: readonly [a: number, b: number];
  readonly t: number;
  readonly degreesOfFreedom: number;
  /** Chance of a difference at least as large where there is none. */
  readonly p: number;
}

/** Lanczos' approximation (g = 7, nine terms), to about 15 digits for x > 0. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

function logGamma(x: number): number {
  const base = x - 1 + 7.5;
  const series = LANCZOS.slice(1).reduce((sum, term, i) => sum + term / (x + i), LANCZOS[0]!);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(base) - base + Math.log(series);
}

/** The continued fraction of the incomplete beta function (NIST DLMF 8.17.22), by the modified Lentz method. */
function betaFraction(a: number, b: number, x: number): number {
  const tiny = 1e-300;
  const nonZero = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= 1000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    for (const coefficient of [even, odd]) {
      d = 1 / nonZero(1 + coefficient * d);
      c = nonZero(1 + coefficient / c);
      fraction *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return fraction;
}

/** The regularised incomplete beta function I_x(a, b). */
function incompleteBeta(a: number, b: number, x: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  // The fraction converges fast on this side of the mean; the other is its mirror image.
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(a, b, x)) / a : 1 - (front * betaFraction(b, a, 1 - x)) / b;
}

/** Chance that Student's t of so many degrees of freedom is at least as far from 0, on either side. */
export function studentTwoSided(t: number, degreesOfFreedom: number): number {
  return incompleteBeta(degreesOfFreedom / 2, 0.5, degreesOfFreedom / (degreesOfFreedom + t * t));
}

/**
 * Welch's t-test: equal variances are not assumed (Welch, Biometrika 34, 1947).
 * @returns Null where a side has fewer than two values, or none of the values differs from another of its side.
 */
export function welch(a: readonly number[], b: readonly number[]): Significance | null {
  if (a.length < 2 || b.length < 2) return null;
  const [one, other] = [a, b].map((values) => {
    const { mean, deviation } = meanAndDeviation(values);
    return { mean, variance: deviation! ** 2 / values.length, n: values.length };
  }) as [Moments, Moments];
  const variance = one.variance + other.variance;
  if (variance === 0) return null;
  const t = (one.mean - other.mean) / Math.sqrt(variance);
  // Welch–Satterthwaite, by parts of the variance: its squares could underflow.
  const part = one.variance / variance;
  const degreesOfFreedom = 1 / (part ** 2 / (one.n - 1) + (1 - part) ** 2 / (other.n - 1));
  return { test: 'welch', n: [a.length, b.length], t, degreesOfFreedom, p: studentTwoSided(t, degreesOfFreedom) };
}

interface Moments {
  readonly mean: number;
  /** Of the mean. */
  readonly variance: number;
  readonly n: number;
}

/**
 * Whether one more value, measured once elsewhere, may come from where these do: t of its prediction interval, with the
 * deviation of these alone.
 * @returns Null where there are fewer than two, or they do not differ.
 */
export function againstOne(values: readonly number[], one: number): Significance | null {
  if (values.length < 2) return null;
  const { mean, deviation } = meanAndDeviation(values);
  if (deviation === null || deviation === 0) return null;
  const t = (mean - one) / (deviation * Math.sqrt(1 + 1 / values.length));
  const degreesOfFreedom = values.length - 1;
  const p = studentTwoSided(t, degreesOfFreedom);
  return { test: 'prediction', n: [values.length, 1], t, degreesOfFreedom, p };
}
