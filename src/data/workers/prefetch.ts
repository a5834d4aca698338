import { availableParallelism } from 'node:os';

/** Memory that finished and unfinished results ahead of the reader may take; at least one result is always made ahead. */
const BYTES_AHEAD = 384 * 2 ** 20;

/** One core is left to the main thread; a few workers keep up with any engine. */
export function defaultWorkers(): number {
  return Math.min(Math.max(availableParallelism() - 1, 1), 8);
}

/** How many results of a size are made ahead: one more than there are workers, as far as memory allows. */
export function resultsAhead(workers: number, bytes: number): number {
  return Math.max(1, Math.min(workers + 1, Math.floor(BYTES_AHEAD / bytes)));
}

/**
 * Results 0, 1, 2, … of `produce`, in order, of which never more than `ahead` are begun before they are read.
 * After a failure every further read fails in the same way.
 */
export class Prefetch<Result> {
  private readonly begun: Promise<Result>[] = [];
  private nextIndex = 0;
  private failure: { readonly error: unknown } | null = null;

  constructor(
    private readonly produce: (index: number) => Promise<Result>,
    private readonly ahead: number,
    /** Results there are; reading on beyond them is an error. */
    private readonly count = Number.POSITIVE_INFINITY,
  ) {
    this.fill();
  }

  async next(): Promise<Result> {
    if (this.failure) throw this.failure.error;
    const first = this.begun.shift();
    if (!first) throw new RangeError(`There are only ${this.count} results.`);
    try {
      const result = await first;
      this.fill();
      return result;
    } catch (error) {
      this.failure = { error };
      throw error;
    }
  }

  private fill(): void {
    while (this.begun.length < this.ahead && this.nextIndex < this.count) {
      const result = this.produce(this.nextIndex++);
      // It is reported when it is read, which may be never.
      result.catch(() => {});
      this.begun.push(result);
    }
  }
}
