import type { Tolerance } from './tolerances.js';

/** One quantity compared with the reference, over all values of it in a case. */
export interface Check {
  readonly case: string;
  readonly quantity: string;
  readonly tolerance: number;
  readonly unit: Tolerance['unit'];
  /** The worst difference found. Not finite where a value was no number, had the wrong shape, or nothing was compared. */
  readonly difference: number;
  /** Where it was found: a file, parameter, step or pixel. */
  readonly at: string;
  readonly passed: boolean;
  /** Why the tolerance is what it is. */
  readonly reason: string;
}

/** What became of a case: its checks, and which quantities its folder has no reference for. */
export interface Findings {
  readonly checks: readonly Check[];
  readonly absent: readonly string[];
}

/** Collects the checks of one case. */
export class Collector implements Findings {
  readonly checks: Check[] = [];
  readonly absent: string[] = [];

  constructor(private readonly name: string) {}

  add(quantity: string, { limit, unit, reason }: Tolerance, worst: Worst): void {
    const { difference, at } = worst;
    const passed = Number.isFinite(difference) && difference <= limit;
    this.checks.push({ case: this.name, quantity, tolerance: limit, unit, difference, at, passed, reason });
  }

  /** Notes that the set has no reference for a quantity. */
  missing(quantity: string): void {
    this.absent.push(quantity);
  }
}

/** The worst of several differences. One that is no number is worse than any, and so is none at all. */
export class Worst {
  private worst = Number.NEGATIVE_INFINITY;
  private place = 'nothing to compare';

  /** The worst so far; `Infinity` where nothing was compared. */
  get difference(): number {
    return this.compared ? this.worst : Number.POSITIVE_INFINITY;
  }

  get at(): string {
    return this.place;
  }

  /** Whether anything was compared. */
  get compared(): boolean {
    return this.worst !== Number.NEGATIVE_INFINITY;
  }

  add(difference: number, at: string): this {
    const size = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.abs(difference);
    if (size > this.worst) {
      this.worst = size;
      this.place = at;
    }
    return this;
  }
}

/** A check as one line. */
export function describeCheck({ case: name, quantity, difference, tolerance, unit, at }: Check): string {
  return `${name}: ${quantity}: worst ${difference} (at ${at}), at most ${tolerance} ${unit} allowed`;
}
