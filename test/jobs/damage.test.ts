import { mkdirSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { type Job, taskFile } from '../../src/jobs/job.js';
import { formatJob } from '../../src/jobs/list.js';
import { localExecutor } from '../../src/jobs/local/executor.js';
import { observeJob } from '../../src/jobs/observe.js';
import { cancelTasks, requestRetry } from '../../src/jobs/requests.js';
import { taskStatuses } from '../../src/jobs/states.js';
import { readRequest } from '../../src/jobs/task-request.js';
import { UserError } from '../../src/support/errors.js';
import { Lock } from '../../src/support/lock.js';
import { jobOf } from '../helpers/jobs.js';

const ROWS = [
  ['first', 0],
  ['second', 0],
] as const;

const context = { signal: new AbortController().signal, note: () => {} };

const DAMAGES: readonly (readonly [what: string, damage: (job: Job) => void, message: RegExp])[] = [
  ['a damaged history', (job) => writeFileSync(taskFile(job, 0, 'json'), '{"starts": [{}]}'), /0\.json is damaged/],
  ['a history that is a folder', (job) => mkdirSync(taskFile(job, 0, 'json')), /0\.json is a folder/],
  ['a damaged request', (job) => writeFileSync(taskFile(job, 0, 'request'), '{"what": "canc'), /0\.request is damaged/],
  ['a request that is a folder', (job) => mkdirSync(taskFile(job, 0, 'request')), /0\.request is a folder/],
  ['a lock that is a folder', (job) => mkdirSync(taskFile(job, 0, 'lock')), /0\.lock is a folder/],
];

for (const [what, damage, message] of DAMAGES) {
  test(`${what} makes one task unreadable, with a way out; the others can be retried`, async (t) => {
    const job = await jobOf(t, ROWS);
    damage(job);
    const observed = await observeJob(job, localExecutor);
    t.deepEqual(
      observed.tasks.map(({ state }) => state),
      ['unreadable', 'stopped'],
    );
    t.regex(observed.tasks[0]!.message!, message);
    t.regex(formatJob(observed, 1000), message);
    t.deepEqual(await requestRetry(job, null, localExecutor), [1]);
    const error = await t.throwsAsync<UserError>(requestRetry(job, [job.tasks[0]!], localExecutor), {
      instanceOf: UserError,
      message,
    });
    t.truthy(error!.next);
  });
}

test('a task with a damaged history or request can be cancelled', async (t) => {
  const job = await jobOf(t, ROWS);
  writeFileSync(taskFile(job, 0, 'json'), 'damaged');
  writeFileSync(taskFile(job, 1, 'request'), 'damaged');
  t.deepEqual(await cancelTasks(job, job.tasks, localExecutor, context), [0, 1]);
  t.is((await readRequest(job, 0))?.what, 'cancel');
  t.is((await taskStatuses(job, localExecutor))[1]!.state, 'cancelled');
});

test('a task runs as long as its worker lives, whatever its history says', async (t) => {
  const job = await jobOf(t, ROWS);
  writeFileSync(taskFile(job, 0, 'json'), 'damaged');
  const lock = await Lock.take(taskFile(job, 0, 'lock'), false);
  await lock.during(async () => {
    t.is((await taskStatuses(job, localExecutor))[0]!.state, 'running');
  });
});
