import path from 'node:path';
import test from 'ava';
import { formatJob } from '../../src/jobs/list.js';
import { localExecutor } from '../../src/jobs/local/executor.js';
import { observeJob } from '../../src/jobs/observe.js';
import { requestRetry } from '../../src/jobs/requests.js';
import { writeHistory } from '../../src/jobs/task-history.js';
import { writeRequest } from '../../src/jobs/task-request.js';
import { NOTHING_SAVED } from '../../src/runs/saved-position.js';
import type { UserError } from '../../src/support/errors.js';
import { jobOf } from '../helpers/jobs.js';

test('cancelled tasks are started again by name: the commands for one, and for all of several', async (t) => {
  const job = await jobOf(t, [
    ['a', 0],
    ["it's", 0],
    ['b', 0],
  ]);
  const cancel = (index: number) =>
    writeRequest(job, index, { what: 'cancel', at: '2025-01-02T03:04:05.678Z', starts: 0 });
  for (const index of [0, 1, 2]) await cancel(index);
  const error = await t.throwsAsync<UserError>(requestRetry(job, null, localExecutor));
  t.regex(error.message, /stopped\. 3 cancelled tasks must be named to start again\.$/);
  t.is(error.next, ['a', "'*'"].map((name) => `fcn jobs retry ${job.id} ${name} --runs ${job.runs}`).join('\n'));
  t.deepEqual(await requestRetry(job, job.tasks, localExecutor), [0, 1, 2]);
});

test('a completed task whose run directory was removed is not retried; its way out is another submission', async (t) => {
  const job = await jobOf(t, [['a', 0]]);
  const at = '2025-01-02T03:04:05.678Z';
  const run = path.join(job.runs, 'a', 'removed');
  const end = {
    at,
    code: 0,
    signal: null,
    progressed: true,
    because: null,
    verdict: 'completed',
    message: null,
  } as const;
  const start = { at, host: 'here', processId: 1, scheduler: {}, run, before: NOTHING_SAVED, end };
  await writeHistory(job, 0, { starts: [start] });
  const error = await t.throwsAsync<UserError>(requestRetry(job, job.tasks, localExecutor));
  t.is(error.message, `a has completed, but its run directory was removed: ${run}.`);
  t.regex(error.next!, /submit its row again/);
  t.regex(formatJob(await observeJob(job, localExecutor), 80), /^a \(completed\): its run directory was removed$/m);
});
