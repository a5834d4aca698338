/** Outcomes of numbered items that come in any order and are taken in the order of their numbers. */
export class ImageOutcomes<Outcome> {
  private readonly ready = new Map<number, Outcome>();
  private waiting: { readonly number: number; resolve(outcome: Outcome): void; reject(error: unknown): void } | null =
    null;
  private failure: { readonly error: unknown } | null = null;

  put(number: number, outcome: Outcome): void {
    if (this.waiting?.number === number) {
      this.waiting.resolve(outcome);
      this.waiting = null;
    } else this.ready.set(number, outcome);
  }

  /** The outcome of an item, once it is there. One at a time. @throws what `fail` was given, if it is not there. */
  take(number: number): Promise<Outcome> {
    const outcome = this.ready.get(number);
    if (outcome !== undefined) {
      this.ready.delete(number);
      return Promise.resolve(outcome);
    }
    if (this.failure !== null) return Promise.reject(this.failure.error);
    return new Promise((resolve, reject) => {
      this.waiting = { number, resolve, reject };
    });
  }

  /** No more outcomes will come. */
  fail(error: unknown): void {
    this.failure ??= { error };
    this.waiting?.reject(error);
    this.waiting = null;
  }
}
