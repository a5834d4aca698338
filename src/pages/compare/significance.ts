import { meanAndDeviation } from '../../records/verdict.js';

/** A two-sided test of whether two means differ by more than chance. */
export interface Significance {
  /** "welch": the means over the seeds of two recipes; "prediction": one value and the mean over the seeds of one recipe. */
  readonly test: 'welch' | 'prediction';
  readonly n: readonly [a: number, b: number];
  readonly t: number;
  readonly degreesOfFreedom: number;
  /** Probability of a difference at least as large if the true means are equal. */
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
  // The fraction converges fast below the mean only; above it, I_x(a, b) = 1 − I_{1−x}(b, a).
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(a, b, x)) / a : 1 - (front * betaFraction(b, a, 1 - x)) / b;
}

/** Probability that Student's t is at least as far from 0, in either direction. */
export function studentTwoSided(t: number, degreesOfFreedom: number): number {
  return incompleteBeta(degreesOfFreedom / 2, 0.5, degreesOfFreedom / (degreesOfFreedom + t * t));
}

/** The mean of a sample, and the variance of that mean. */
function meanAndVariance(values: readonly number[]) {
  const { mean, deviation } = meanAndDeviation(values);
  return { mean, variance: deviation! ** 2 / values.length };
}

/**
 * Welch's t-test, which does not assume equal variances (Welch, Biometrika 34, 1947).
 * @returns Null if a sample has fewer than two values, or if both have no variance.
 */
export function welchTest(a: readonly number[], b: readonly number[]): Significance | null {
  if (a.length < 2 || b.length < 2) return null;
  const [ofA, ofB] = [meanAndVariance(a), meanAndVariance(b)];
  const variance = ofA.variance + ofB.variance;
  if (variance === 0) return null;
  const t = (ofA.mean - ofB.mean) / Math.sqrt(variance);
  // Welch–Satterthwaite, with parts of the variance, whose squares cannot underflow.
  const part = ofA.variance / variance;
  const degreesOfFreedom = 1 / (part ** 2 / (a.length - 1) + (1 - part) ** 2 / (b.length - 1));
  return { test: 'welch', n: [a.length, b.length], t, degreesOfFreedom, p: studentTwoSided(t, degreesOfFreedom) };
}

/**
 * Whether one more value could come from the same distribution: t of the prediction interval, with the deviation of `values` alone.
 * @returns Null if there are fewer than two values, or they have no variance.
 */
export function predictionTest(values: readonly number[], value: number): Significance | null {
  if (values.length < 2) return null;
  const { mean, deviation } = meanAndDeviation(values);
  if (deviation === null || deviation === 0) return null;
  const t = (mean - value) / (deviation * Math.sqrt(1 + 1 / values.length));
  const degreesOfFreedom = values.length - 1;
  const p = studentTwoSided(t, degreesOfFreedom);
  return { test: 'prediction', n: [values.length, 1], t, degreesOfFreedom, p };
}
