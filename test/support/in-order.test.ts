import test from 'ava';
import { inOrder } from '../../src/support/in-order.js';

/** Numbers from 0, and whether they were closed; `fails` is the number at which reading fails. */
function numbers(count: number, fails = count) {
  const state = { read: 0, closed: false };
  async function* generate() {
    try {
      for (let i = 0; i < count; i++) {
        if (i === fails) throw new Error(`${i} cannot be read`);
        state.read++;
        yield i;
      }
    } finally {
      state.closed = true;
    }
  }
  return { state, items: generate() };
}

/** Work that ends when it is told to. */
function controlled() {
  const begun = new Map<number, { end: (value: string) => void; fail: (error: Error) => void }>();
  const work = (item: number) =>
    new Promise<string>((end, fail) => {
      begun.set(item, { end, fail });
    });
  return { begun, work };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('one at a time: nothing is read before the result before it has been used', async (t) => {
  const { state, items } = numbers(3);
  const seen: [number, number][] = [];
  for await (const result of inOrder(items, 1, async (item) => item)) {
    await turn();
    seen.push([result, state.read]);
  }
  t.deepEqual(seen, [
    [0, 1],
    [1, 2],
    [2, 3],
  ]);
});

test('several at a time: results are in the order of the items, in whatever order they end', async (t) => {
  const { state, items } = numbers(5);
  const { begun, work } = controlled();
  const results = inOrder(items, 3, work);
  const first = results.next();
  await turn();
  t.deepEqual([...begun.keys()], [0, 1, 2]);
  t.is(state.read, 3);
  begun.get(2)!.end('two');
  begun.get(1)!.end('one');
  begun.get(0)!.end('zero');
  t.deepEqual(await first, { done: false, value: 'zero' });
  await turn();
  t.is(state.read, 4, 'the next is begun while a result is used');
  t.is((await results.next()).value, 'one');
  t.is((await results.next()).value, 'two');
  await turn();
  begun.get(3)!.end('three');
  begun.get(4)!.end('four');
  t.is((await results.next()).value, 'three');
  t.is((await results.next()).value, 'four');
  t.deepEqual(await results.next(), { done: true, value: undefined });
  t.true(state.closed);
});

test('a failure is thrown after the results before it, and ends the items', async (t) => {
  for (const [what, fails] of [
    ['reading', 2],
    ['work', 5],
  ] as const) {
    const { state, items } = numbers(5, fails);
    const results = inOrder(items, 4, async (item) => {
      if (what === 'work' && item === 2) throw new Error('2 cannot be done');
      return item;
    });
    t.is((await results.next()).value, 0);
    t.is((await results.next()).value, 1);
    await t.throwsAsync(results.next(), { message: /^2 cannot be/ });
    t.true(state.closed);
    t.true((await results.next()).done);
  }
});

test('whoever stops taking results closes the items, and no more work is begun', async (t) => {
  const { state, items } = numbers(9);
  let begun = 0;
  for await (const result of inOrder(items, 2, async (item) => {
    begun++;
    return item;
  })) {
    if (result === 1) break;
  }
  await turn();
  t.true(state.closed);
  t.true(begun <= 4, `${begun}`);
});
