import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { type Job, taskFile } from '../../../src/jobs/job.js';
import { localExecutor } from '../../../src/jobs/local/executor.js';
import { executeTasks, SCHEDULER_LOCK } from '../../../src/jobs/local/scheduler.js';
import { taskStatuses } from '../../../src/jobs/states.js';
import { Lock } from '../../../src/support/lock.js';
import { jobOf } from '../../helpers/jobs.js';

const OPTIONS = { maxParallel: 1, threads: 1, keepGoing: false, pauseSeconds: 0 };

/** Rows that do not exist: their commands fail at once. */
const ROWS = [
  ['no-such-row', 0],
  ['nor-this', 0],
] as const;

async function execute(job: Job, changes: Partial<typeof OPTIONS> = {}) {
  const notes: string[] = [];
  const context = {
    executor: localExecutor,
    signal: new AbortController().signal,
    note: (text: string) => notes.push(text),
  };
  await executeTasks(job, { ...OPTIONS, ...changes }, context);
  const statuses = await taskStatuses(job, localExecutor);
  return { notes, states: statuses.map(({ state }) => state) };
}

test('after a failure no further task starts, unless the job keeps going', async (t) => {
  const job = await jobOf(t, ROWS);
  t.deepEqual((await execute(job)).states, ['failed', 'stopped']);
  t.deepEqual((await execute(job, { keepGoing: true })).states, ['failed', 'failed']);
  const [first] = await taskStatuses(job, localExecutor);
  t.like(first?.history.starts, { length: 1, 0: { end: { code: 2 } } });
  t.regex(first?.history.starts[0]?.end?.message ?? '', /^Unknown row: no-such-row/);
});

test('only one process executes a job', async (t) => {
  const job = await jobOf(t, ROWS);
  const lock = await Lock.take(path.join(job.folder, SCHEDULER_LOCK), false);
  const { notes, states } = await execute(job);
  t.regex(notes.join(), /^Another process executes this job and takes them up\. .* is in use by process \d+ on /);
  t.deepEqual(states, ['pending', 'pending'], 'it will start them');
  await lock.release();
  t.deepEqual((await execute(job)).states, ['failed', 'stopped']);
});

test('a task whose history is damaged is left alone, and the others are done', async (t) => {
  const job = await jobOf(t, ROWS);
  writeFileSync(taskFile(job, 0, 'json'), 'damaged');
  t.deepEqual((await execute(job)).states, ['unreadable', 'failed']);
});
