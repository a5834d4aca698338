/**
 * Counter-based random numbers: every draw is a pure function of (seed, purpose, iteration, index). There is no hidden
 * state, so a resumed run and any number of workers make the same draws.
 *
 * Philox-4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 */

/** What a draw is for. Draws for different purposes are independent; the numbers are part of a run's identity: append only. */
export const Purpose = {
  initialisation: 1,
  shuffle: 2,
  scale: 3,
  crop: 4,
  flip: 5,
  photometric: 6,
  dropout: 7,
  generate: 8,
  benchmark: 9,
} as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** High 32 bits of the 64-bit product of two uint32. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + Math.floor((aLow * bLow) / 0x10000);
  const cross = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0;
}

/** One Philox block: four uint32 from a four-word counter and a two-word key. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * The stream of draws for one (seed, purpose, iteration): `index` picks a draw, in any order.
 * `iteration` may be any integer in [0, 2^53), split over two counter words.
 */
export class Draws {
  constructor(
    readonly seed: number,
    readonly purpose: Purpose,
    readonly iteration: number,
  ) {}

  private block(index: number): [number, number, number, number] {
    const high = Math.floor(this.iteration / 2 ** 32);
    return philox(
      [index >>> 0, Math.floor(index / 2 ** 32), this.iteration >>> 0, high],
      [this.seed >>> 0, this.purpose],
    );
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(index: number): number {
    const [a, b] = this.block(index);
    return ((a >>> 5) * 0x4000000 + (b >>> 6)) / 2 ** 53;
  }

  /** Uniform integer in [low, high], both included. */
  integer(index: number, low: number, high: number): number {
    return low + Math.floor(this.uniform(index) * (high - low + 1));
  }

  /** Two independent standard normal draws (Box–Muller). */
  normalPair(index: number): [number, number] {
    const [a, b, c, d] = this.block(index);
    const u = ((a >>> 5) * 0x4000000 + (b >>> 6)) / 2 ** 53 || 2 ** -54;
    const v = ((c >>> 5) * 0x4000000 + (d >>> 6)) / 2 ** 53;
    const radius = Math.sqrt(-2 * Math.log(u));
    return [radius * Math.cos(2 * Math.PI * v), radius * Math.sin(2 * Math.PI * v)];
  }

  /** A permutation of 0 … length − 1 (Fisher–Yates). */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(i, 0, i);
      const swapped = order[i]!;
      order[i] = order[j]!;
      order[j] = swapped;
    }
    return order;
  }
}
