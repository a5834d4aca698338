/** The result of an item; null after the last one. */
type Begun<Result> = { readonly result: Result } | null;

/**
 * The results of `work` on each item, in the order of the items. `atATime` items are read, and their work begun, while the result before
 * them is used, so that the work does not wait for that; with 1, nothing is read or begun before the result before it has been taken and used. A failure of an item, or
 * of reading one, is thrown once the results before it have been taken.
 */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  atATime: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const source = items[Symbol.asyncIterator]();
  const begun: Promise<Begun<Result>>[] = [];
  let lastRead: Promise<unknown> = Promise.resolve();
  let ended = false;
  const begin = async (): Promise<Begun<Result>> => {
    const read = lastRead.then(() => (ended ? null : source.next()));
    lastRead = read;
    const step = await read;
    if (step?.done === true) ended = true;
    return step === null || step.done === true || ended ? null : { result: await work(step.value) };
  };
  const fill = () => {
    while (begun.length < atATime) {
      const next = begin();
      // Thrown when its turn comes, which may be never.
      next.catch(() => {});
      begun.push(next);
    }
  };
  try {
    for (;;) {
      fill();
      const first = await begun.shift()!;
      if (first === null) return;
      if (atATime > 1) fill();
      yield first.result;
    }
  } finally {
    ended = true;
    const closing = source.return?.();
    // An item that is being read keeps the source from closing: nobody waits for it.
    if (begun.length === 0) await closing;
    else closing?.catch(() => {});
  }
}
