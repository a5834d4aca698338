import test from 'ava';
import { Queue } from '../../src/serving/queue.js';

const never = new AbortController().signal;

test('one is in work, the others wait in the order in which they ask for their turn', async (t) => {
  const queue = new Queue(2);
  const [a, b, c] = [queue.enter()!, queue.enter()!, queue.enter()!];
  t.is(queue.enter(), null);
  t.deepEqual(queue.counts, { working: 0, waiting: 3 });
  await a.turn(never);
  const order: string[] = [];
  const turns = [c.turn(never).then(() => order.push('c')), b.turn(never).then(() => order.push('b'))];
  t.deepEqual(queue.counts, { working: 1, waiting: 2 });
  t.true(a.isInWork && !c.isInWork);
  a.leave();
  a.leave();
  await turns[0];
  t.true(c.isInWork);
  t.deepEqual(order, ['c']);
  c.leave();
  await turns[1];
  t.deepEqual(order, ['c', 'b']);
  b.leave();
  t.deepEqual(queue.counts, { working: 0, waiting: 0 });
});

test('whoever leaves before its turn is left out', async (t) => {
  const queue = new Queue(2);
  const [a, b, c] = [queue.enter()!, queue.enter()!, queue.enter()!];
  await a.turn(never);
  const gone = new AbortController();
  const refused = t.throwsAsync(b.turn(gone.signal), { message: 'gone' });
  const turn = c.turn(never);
  gone.abort(new Error('gone'));
  await refused;
  b.leave();
  a.leave();
  await turn;
  t.true(c.isInWork);
  await t.throwsAsync(queue.enter()!.turn(gone.signal), { message: 'gone' });
});
