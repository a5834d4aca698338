import test from 'ava';
import { ImageOutcomes } from '../../src/evaluation/image-outcomes.js';
import { launchedBy } from '../../src/parallel/launched.js';
import { Meeting } from '../../src/parallel/meeting.js';
import { Inbox } from '../../src/parallel/messages.js';
import { divideBatch, shareOf } from '../../src/parallel/shards.js';
import { nodesWithin, treeSum } from '../../src/support/shard-tree.js';

test('a batch is divided into shards of the published size, or smaller ones for more processes', (t) => {
  t.deepEqual(divideBatch(8, 1, 2), { shards: 4, imagesOfShard: 2 });
  t.deepEqual(divideBatch(8, 4, 2), { shards: 4, imagesOfShard: 2 });
  t.deepEqual(divideBatch(8, 8, 2), { shards: 8, imagesOfShard: 1 });
  t.deepEqual(divideBatch(16, 4, 4), { shards: 4, imagesOfShard: 4 });
  t.deepEqual(divideBatch(6, 2, 4), { shards: 2, imagesOfShard: 3 });
  t.deepEqual(divideBatch(2, 1, 4), { shards: 1, imagesOfShard: 2 });
  t.throws(() => divideBatch(8, 3, 2), { message: 'A batch of 8 images cannot be divided among 3 processes.' });
  t.deepEqual(shareOf({ shards: 4, imagesOfShard: 2 }, 1, 2).own, { begin: 2, end: 4 });
});

test('the tree over any number of shards has one order, whoever has its nodes', (t) => {
  const text = (begin: number) => `${begin}`;
  const add = (left: string, right: string) => `(${left}+${right})`;
  const whole = (count: number) =>
    treeSum({ begin: 0, end: count }, ({ begin, end }) => (end - begin === 1 ? text(begin) : undefined), add);
  t.is(whole(1), '0');
  t.is(whole(3), '((0+1)+2)');
  t.is(whole(6), '(((0+1)+(2+3))+(4+5))');
  for (const [count, size] of [
    [4, 2],
    [6, 2],
    [6, 3],
    [12, 4],
  ] as const) {
    const known = new Map<string, string>();
    for (let rank = 0; rank < size; rank++) {
      const range = { begin: (rank * count) / size, end: ((rank + 1) * count) / size };
      for (const node of nodesWithin(range, count)) {
        const sum = treeSum(node, ({ begin, end }) => (end - begin === 1 ? text(begin) : undefined), add);
        known.set(`${node.begin}-${node.end}`, sum);
      }
    }
    t.is(
      treeSum({ begin: 0, end: count }, ({ begin, end }) => known.get(`${begin}-${end}`), add),
      whole(count),
    );
  }
});

test('shards that meet get what is made of all parts; a failure ends those that wait and those that come', async (t) => {
  const meeting = new Meeting(2);
  const join = async (parts: readonly string[]) => parts.join();
  const first = meeting.bring(0, 'a', join);
  t.is(await meeting.bring(1, 'b', join), 'a,b');
  t.is(await first, 'a,b');
  const waiting = meeting.bring(1, 'c', join);
  meeting.fail(new Error('gone'));
  await t.throwsAsync(waiting, { message: 'gone' });
  await t.throwsAsync(meeting.bring(0, 'd', join), { message: 'gone' });
  t.throws(() => meeting.assertGoing(), { message: 'gone' });
});

test('messages wait for a reader, and readers for messages; after a failure the rest can still be read', async (t) => {
  const inbox = new Inbox();
  const early = inbox.take();
  inbox.put({ kind: 'one' });
  inbox.put({ kind: 'two' });
  t.is((await early).kind, 'one');
  inbox.fail(new Error('lost'));
  t.is((await inbox.take()).kind, 'two');
  await t.throwsAsync(inbox.take(), { message: 'lost' });
});

test('outcomes come in any order and are taken in theirs', async (t) => {
  const outcomes = new ImageOutcomes<string>();
  outcomes.put(1, 'b');
  const first = outcomes.take(0);
  outcomes.put(0, 'a');
  t.is(await first, 'a');
  t.is(await outcomes.take(1), 'b');
  const third = outcomes.take(2);
  outcomes.fail(new Error('stopped'));
  await t.throwsAsync(third, { message: 'stopped' });
});

test('launchers are known by their variables', (t) => {
  t.deepEqual(launchedBy({ OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4' }), { rank: 1, size: 4 });
  t.deepEqual(launchedBy({ PMI_RANK: '0', PMI_SIZE: '2' }), { rank: 0, size: 2 });
  t.deepEqual(launchedBy({ PMIX_RANK: '3', SLURM_NTASKS: '8', SLURM_STEP_NUM_TASKS: '4' }), { rank: 3, size: 4 });
  // A batch script is no task of srun.
  t.is(launchedBy({ SLURM_NTASKS: '8', SLURM_PROCID: '0' }), null);
});
