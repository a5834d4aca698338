import type { Draws } from '../../support/random.js';

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
