import { Draws, Purpose } from '../../support/random.js';

/** Side of the noise tiles, which repeat without a seam: a power of two, so that a bit mask wraps coordinates. */
export const TILE_SIDE = 256;

/** Two textures of values −64 … 63: `fine` independent from pixel to pixel, `coarse` in blobs of about eight pixels. */
export interface NoiseTiles {
  readonly fine: Int8Array;
  readonly coarse: Int8Array;
}

/** Mean of `2·radius + 1` neighbours along one axis, wrapped around. */
function blur(values: Float32Array, radius: number, step: 1 | typeof TILE_SIDE): Float32Array {
  const across = step === 1 ? TILE_SIDE : 1;
  const result = new Float32Array(values.length);
  for (let line = 0; line < TILE_SIDE; line++) {
    for (let i = 0; i < TILE_SIDE; i++) {
      let sum = 0;
      for (let k = -radius; k <= radius; k++) {
        sum += values[line * across + ((i + k + TILE_SIDE) % TILE_SIDE) * step]!;
      }
      result[line * across + i * step] = sum / (2 * radius + 1);
    }
  }
  return result;
}

/** The noise tiles of a seed. */
export function makeNoiseTiles(seed: number): NoiseTiles {
  const normal = new Float32Array(TILE_SIDE * TILE_SIDE);
  // Iteration 0 is the tiles'; image i is iteration i + 1.
  new Draws(seed, Purpose.generate, 0).fillNormal(normal, 1);
  // Few distinct values compress well; nobody sees the difference.
  const fine = Int8Array.from(normal, (value) => Math.max(-4, Math.min(3, Math.round(value * 1.5))) * 16);
  let blobs: Float32Array = normal;
  for (const radius of [3, 2]) blobs = blur(blur(blobs, radius, 1), radius, TILE_SIDE);
  let deviation = 0;
  for (const value of blobs) deviation += value ** 2 / blobs.length;
  const scale = 28 / Math.sqrt(deviation);
  const coarse = Int8Array.from(blobs, (value) => Math.max(-64, Math.min(63, Math.round(value * scale))));
  return { fine, coarse };
}

/** Draws one after another, for code that makes many choices in a fixed order. */
export class Dice {
  private index = 0;

  constructor(private readonly draws: Draws) {}

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + this.draws.uniform(this.index++) * (high - low);
  }

  /** Uniform integer in [low, high], both included. */
  integer(low: number, high: number): number {
    return this.draws.integer(this.index++, low, high);
  }

  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }

  /** −1 or 1. */
  side(): -1 | 1 {
    return this.chance(0.5) ? 1 : -1;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)]!;
  }
}
