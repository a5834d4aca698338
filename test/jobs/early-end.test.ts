import test, { type ExecutionContext } from 'ava';
import { taskFile } from '../../src/jobs/job.js';
import { readHistory } from '../../src/jobs/task-history.js';
import { type WorkOptions, workOn } from '../../src/jobs/worker.js';
import { Lock } from '../../src/support/lock.js';
import { jobOf } from '../helpers/jobs.js';

/** A worker that must not start its command; `asked` is why the executor was asked what follows. */
async function idleWorker(t: ExecutionContext, changes: (signal: AbortSignal) => Partial<WorkOptions>) {
  const job = await jobOf(t, [['tiny', 0]]);
  const asked: unknown[] = [];
  const ending = new AbortController();
  const options: WorkOptions = {
    executor: {
      again: async (_job, _index, { because }) => {
        asked.push(because);
        return 'elsewhere';
      },
      identify: () => ({}),
    },
    stop: new AbortController().signal,
    ownGroup: false,
    note: () => {},
    run: async () => t.fail('The command was started.') as never,
    ...changes(ending.signal),
  };
  return { job, asked, ending, work: () => workOn(job, 0, options) };
}

test('a signal that all heard before the command was started starts nothing, and the executor learns of it', async (t) => {
  const { job, asked, ending, work } = await idleWorker(t, (signalled) => ({ signalled }));
  ending.abort();
  t.is(await work(), 'again');
  t.deepEqual(asked, ['signal']);
  t.deepEqual((await readHistory(job, 0)).starts, []);
});

test('so does a stop, also while another worker has the task', async (t) => {
  const { job, asked, ending, work } = await idleWorker(t, (stop) => ({ stop, waitForLock: true }));
  const lock = await Lock.take(taskFile(job, 0, 'lock'), false);
  await lock.during(async () => {
    const waiting = work();
    ending.abort();
    t.is(await waiting, 'again');
  });
  t.deepEqual(asked, ['stopped']);
});
