import test from 'ava';
import { BusyError } from '../../src/support/errors.js';
import { workplace } from '../helpers/tiny-runs.js';

test('of two commands that begin the same run at once, one does, and the other finds it in use', async (t) => {
  const { run, runs } = await workplace(t);
  const taken: string[] = [];
  const ends: Promise<unknown>[] = [];
  const onDirectory = async (directory: string) => {
    // The first one has its run until the other command has ended.
    if (taken.push(directory) === 1) await Promise.race(ends.map((end) => end.catch(() => {})));
  };
  ends.push(run({ onDirectory }), run({ onDirectory }));
  const [first, second] = await Promise.allSettled(ends);
  const refused = [first!, second!].flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
  t.is(refused.length, 1);
  t.true(refused[0] instanceof BusyError, String(refused[0]));
  t.is(taken.length, 1);
  t.is(runs().length, 1);
});
