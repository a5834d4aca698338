import test from 'ava';
import { localExecutor } from '../../src/jobs/local/executor.js';
import { requestRetry } from '../../src/jobs/requests.js';
import { writeRequest } from '../../src/jobs/task-request.js';
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
