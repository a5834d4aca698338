import { mkdirSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { withRunsOfJobs } from '../../src/jobs/runs-of-job.js';
import { writeHistory } from '../../src/jobs/task-history.js';
import { NOTHING_SAVED } from '../../src/runs/saved-position.js';
import { UserError } from '../../src/support/errors.js';
import { jobOf } from '../helpers/jobs.js';

test('the id of a job means the run directories of its tasks; other references stay', async (t) => {
  const job = await jobOf(t, [
    ['a', 0],
    ['b', 0],
    ['c', 0],
  ]);
  await t.throwsAsync(withRunsOfJobs(job.runs, [job.id]), { instanceOf: UserError, message: /^No task of job/ });
  const start = { at: job.submittedAt, host: 'here', processId: 1, scheduler: {}, before: NOTHING_SAVED, end: null };
  const [run, removed] = ['a', 'b'].map((row) => path.join(job.runs, row, 'run')) as [string, string];
  mkdirSync(run, { recursive: true });
  await writeHistory(job, 0, { starts: [{ ...start, run }] });
  await writeHistory(job, 1, { starts: [{ ...start, run: removed }] });
  t.deepEqual(await withRunsOfJobs(job.runs, ['camvid*', job.id]), ['camvid*', run]);
  t.deepEqual(await withRunsOfJobs('nowhere', [job.id]), [job.id]);
});
