import { meanAndDeviation } from '../../records/figures.js';

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

/** A curve's value after a part of its training. */
export interface CurvePoint {
  readonly iteration: number;
  /** Of the whole schedule, 0 to 1: what curves of different lengths are compared by. */
  readonly share: number;
  readonly loss: number;
  readonly learningRate: number;
}

/** Where a curve is expected. */
interface Band {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
}

/** A stretch of a curve that lies outside the other's band. */
export interface Departure {
  readonly side: 'above' | 'below';
  readonly from: number;
  /** The last iteration of it so far. */
  readonly to: number;
  /** Where it is farthest outside. */
  readonly worst: Band & { readonly iteration: number; readonly loss: number };
}

/** A band is made of the reference's lines in ± this part of the schedule, and of at least this many. */
const WINDOW = 0.025;
const FEWEST = 15;
/** Of sample deviations: outside of this one line of 370 would lie by chance. */
const DEVIATIONS = 3;
/** However little the reference varies, its band is at least so wide, as a part of its value. */
const NARROWEST = 0.02;
/** Lines of the judged curve that are taken together: one line says little. */
const TOGETHER = 5;

/** The first index whose point lies at a share or after it. */
function indexAt(points: readonly CurvePoint[], share: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]!.share < share) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * @param reference Ordered, finite points only.
 * @returns Null where the reference has too few lines for a band.
 */
export function bandAt(reference: readonly CurvePoint[], share: number): Band | null {
  if (reference.length < FEWEST) return null;
  let from = indexAt(reference, share - WINDOW);
  let to = indexAt(reference, share + WINDOW);
  // Where there are few, the nearest ones on either side.
  while (to - from < FEWEST) {
    const before = from === 0 ? Number.POSITIVE_INFINITY : share - reference[from - 1]!.share;
    const after = to === reference.length ? Number.POSITIVE_INFINITY : reference[to]!.share - share;
    if (before <= after) from--;
    else to++;
  }
  const near = reference.slice(from, to).map(({ loss }) => loss);
  const { mean: middle, deviation } = meanAndDeviation(near);
  const half = Math.max(DEVIATIONS * (deviation ?? 0), NARROWEST * Math.abs(middle));
  return { low: middle - half, middle, high: middle + half };
}

/**
 * Where a curve leaves the band of another: means of `TOGETHER` lines beside its mean ± 3 deviations at the same part of
 * the schedule. Beyond the end of the reference nothing is judged.
 * @param curve Ordered by iteration; points that are not finite must be left out of both.
 */
export function departures(curve: readonly CurvePoint[], reference: readonly CurvePoint[]): Departure[] {
  const found: Departure[] = [];
  const end = reference.at(-1)?.share ?? 0;
  let open = false;
  for (let i = TOGETHER - 1; i < curve.length; i++) {
    const { iteration, share } = curve[i]!;
    const lines = curve.slice(i - TOGETHER + 1, i + 1);
    const middleShare = (lines[0]!.share + share) / 2;
    const band = share > end + WINDOW ? null : bandAt(reference, middleShare);
    if (band === null) break;
    const loss = lines.reduce((sum, line) => sum + line.loss, 0) / TOGETHER;
    const side = loss > band.high ? 'above' : loss < band.low ? 'below' : null;
    if (side === null) {
      open = false;
      continue;
    }
    const outside = (at: Band & { loss: number }) => Math.max(at.loss - at.high, at.low - at.loss);
    const here = { iteration, loss, ...band };
    const last = found.at(-1);
    if (open && last?.side === side) {
      const worst = outside(here) > outside(last.worst) ? here : last.worst;
      found[found.length - 1] = { ...last, to: iteration, worst };
    } else {
      found.push({ side, from: lines[0]!.iteration, to: iteration, worst: here });
      open = true;
    }
  }
  return found;
}
