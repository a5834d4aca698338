/**
 * Where the shards of a process meet: each brings its part, and when the last one has come, all get what is made of the parts. The n-th
 * part of one shard meets the n-th parts of the others.
 */
export class Meeting {
  private readonly rounds: Round[] = [];
  private readonly done: number[];
  private failure: { readonly error: unknown } | null = null;

  /** @param count Shards that meet. */
  constructor(private readonly count: number) {
    this.done = Array.from({ length: count }, () => 0);
  }

  /**
   * @param index Of the shard, from 0.
   * @param combine Makes the result from all parts, in the order of the shards; called for the last one that comes.
   * @throws what `combine` threw, or `fail` was given.
   */
  async bring<Part, Result>(
    index: number,
    part: Part,
    combine: (parts: readonly Part[]) => Promise<Result>,
  ): Promise<Result> {
    this.assertGoing();
    const number = this.done[index]!++;
    this.rounds[number] ??= new Round(this.count);
    const round = this.rounds[number]!;
    if (round.bring(index, part)) {
      delete this.rounds[number];
      combine(round.parts as readonly Part[]).then(round.resolve, round.reject);
    }
    const result = (await round.result) as Result;
    this.assertGoing();
    return result;
  }

  /** Ends all shards: those that wait, and the others at their next meeting or `assertGoing`. */
  fail(error: unknown): void {
    this.failure ??= { error };
    for (const round of Object.values(this.rounds)) round.reject(error);
  }

  /** @throws what `fail` was given. */
  assertGoing(): void {
    if (this.failure !== null) throw this.failure.error;
  }
}

class Round {
  readonly parts: unknown[];
  readonly result: Promise<unknown>;
  resolve!: (result: unknown) => void;
  reject!: (error: unknown) => void;
  private missing: number;

  constructor(count: number) {
    this.parts = new Array(count);
    this.missing = count;
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Those who wait get the error; there may be nobody.
    this.result.catch(() => undefined);
  }

  /** Whether this was the last part. */
  bring(index: number, part: unknown): boolean {
    this.parts[index] = part;
    return --this.missing === 0;
  }
}
