/**
 * Counter-based random numbers: every draw is a pure function of (seed, purpose, iteration, index). There is no hidden state, so
 * a resumed run draws the same numbers, with any number of workers.
 *
 * Philox-4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 */

/** What a draw is for. Different purposes draw independently. The numbers are part of a run's identity: append only. */
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
  replacement: 10,
} as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** High 32 bits of the product of two uint32, from 16-bit halves so that every partial sum stays below 2^53. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (cross >>> 16);
}

/** Writes one Philox block, four uint32, from a four-word counter and a two-word key. */
export function philox(
  out: Uint32Array,
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): void {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/**
 * The draws of one (seed, purpose, iteration); `index` picks one, in any order. Iteration and index are integers in [0, 2^53), split
 * over two counter words each.
 */
export class Draws {
  constructor(
    readonly seed: number,
    readonly purpose: Purpose,
    readonly iteration: number,
  ) {}

  private readonly words = new Uint32Array(4);

  /** The four random words of a block; overwritten by the next call. */
  private block(index: number): Uint32Array {
    const high = Math.floor(this.iteration / 2 ** 32);
    philox(this.words, [index, Math.floor(index / 2 ** 32), this.iteration, high], [this.seed, this.purpose]);
    return this.words;
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(index: number): number {
    const words = this.block(index);
    return ((words[0]! >>> 5) * 2 ** 26 + (words[1]! >>> 6)) / 2 ** 53;
  }

  /** Uniform integer in [low, high], both included. */
  integer(index: number, low: number, high: number): number {
    return low + Math.floor(this.uniform(index) * (high - low + 1));
  }

  /** Fills `out` with normal draws of mean 0, four per block (Box–Muller). */
  fillNormal(out: Float32Array, deviation: number): void {
    for (let i = 0; i < out.length; i += 4) {
      const words = this.block(i);
      for (let pair = 0; pair < 2; pair++) {
        // (word + 0.5)/2^32 is never 0, so its logarithm is finite.
        const radius = deviation * Math.sqrt(-2 * Math.log((words[2 * pair]! + 0.5) / 2 ** 32));
        const angle = (2 * Math.PI * words[2 * pair + 1]!) / 2 ** 32;
        if (i + 2 * pair < out.length) out[i + 2 * pair] = radius * Math.cos(angle);
        if (i + 2 * pair + 1 < out.length) out[i + 2 * pair + 1] = radius * Math.sin(angle);
      }
    }
  }

  /** A permutation of 0 … length − 1 (Fisher–Yates). */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(i, 0, i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
