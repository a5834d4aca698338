import type { ExecutionContext } from 'ava';
import { Draws, Purpose } from '../../src/support/random.js';

/**
 * How far a number may be off; the three add up. Each is at most four times what was measured, the most of both engines: float32
 * has 1.2e-7 of a number between it and the next, and another processor sums in another order.
 */
export interface Tolerance {
  /** In the numbers' own unit. */
  readonly absolute?: number;
  /** Of each expected number. */
  readonly relative?: number;
  /** Of the largest expected magnitude: for sums of products, whose small results carry the large ones' rounding. */
  readonly ofLargest?: number;
}

/** Asserts that two arrays agree; the message shows the element that is worst, measured by its own tolerance. */
export function assertClose(
  t: ExecutionContext,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute = 0, relative = 0, ofLargest = 0 }: Tolerance,
  what = 'values',
): void {
  if (actual.length !== expected.length) {
    t.fail(`${what}: ${actual.length} elements, expected ${expected.length}`);
    return;
  }
  const common = absolute + ofLargest * largestMagnitude(expected);
  let worst = -1;
  let worstRatio = 0;
  let wrong = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i])) continue;
    const error = Math.abs(actual[i]! - expected[i]!);
    const allowed = common + relative * Math.abs(expected[i]!);
    if (error <= allowed) continue;
    wrong++;
    const ratio = Number.isFinite(error) && allowed > 0 ? error / allowed : Number.POSITIVE_INFINITY;
    if (ratio > worstRatio) {
      worst = i;
      worstRatio = ratio;
    }
  }
  if (wrong === 0) {
    t.pass();
    return;
  }
  const allowed = common + relative * Math.abs(expected[worst]!);
  t.fail(
    `${what}: ${wrong} of ${expected.length} elements are off; worst at ${worst}: ${actual[worst]}, ` +
      `expected ${expected[worst]} ± ${allowed.toPrecision(3)}`,
  );
}

export function largestMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  return largest;
}

/** Σ a·b in float64. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Normal draws, rounded to float32 so that a float64 reference sees the same numbers as the kernel. */
export function normals(seed: number, count: number, mean = 0, deviation = 1): Float32Array {
  const values = new Float32Array(count);
  new Draws(seed, Purpose.generate, 0).fillNormal(values, deviation);
  return values.map((value) => mean + value);
}

/** Uniform integers in [low, high]. */
export function integers(seed: number, count: number, low: number, high: number): Int32Array {
  const draws = new Draws(seed, Purpose.generate, 1);
  return Int32Array.from({ length: count }, (_, i) => draws.integer(i, low, high));
}

/** 0 … count − 1 in random order: values without ties. */
export function shuffled(seed: number, count: number): Float32Array {
  return Float32Array.from(new Draws(seed, Purpose.generate, 2).permutation(count));
}

/** The gradient of a scalar function by central differences. Exact but for rounding where the function is linear. */
export function finiteDifferences(
  value: (at: Float64Array) => number,
  at: ArrayLike<number>,
  step: number,
): Float64Array {
  const point = Float64Array.from(at);
  return point.map((centre, i) => {
    point[i] = centre + step;
    const above = value(point);
    point[i] = centre - step;
    const below = value(point);
    point[i] = centre;
    return (above - below) / (2 * step);
  });
}

/** Asserts that two numbers differ by at most a tolerance; default: two units in the last place, two roundings of float64. */
export function near(
  t: ExecutionContext,
  value: number,
  expected: number,
  tolerance = 2 ** -51 * Math.abs(expected),
): void {
  t.true(Math.abs(value - expected) <= tolerance, `${value} instead of ${expected}`);
}

/** Whether two arrays have the same bytes; large ones are compared much faster than by an assertion. */
export function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength);
  return bytes(a).equals(bytes(b));
}
