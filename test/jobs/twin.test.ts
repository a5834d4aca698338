import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { createJob } from '../../src/jobs/job.js';
import { writeRequest } from '../../src/jobs/task-request.js';
import { resumableTwin } from '../../src/jobs/twin.js';
import { describedJob, jobOf } from '../helpers/jobs.js';

const TASKS = [
  ['a', 0],
  ['b', 1],
] as const;

test('a job with the same tasks that a retry would resume is found, the newest of them', async (t) => {
  const first = await jobOf(t, TASKS);
  const { runs } = first;
  const absent = { queue: async () => first.tasks.map(() => ({ state: 'absent' as const, reason: null })) };
  const twinOf = async (description = describedJob(TASKS)) =>
    (await resumableTwin(runs, description, () => absent))?.id ?? null;
  t.is(await twinOf(), first.id);
  t.is(await twinOf(describedJob([...TASKS].reverse())), first.id, 'in any order');
  t.is(await twinOf(describedJob([TASKS[0]])), null);
  const { tasks } = describedJob(TASKS);
  t.is(await twinOf(describedJob(TASKS, { tasks: tasks.map((task) => ({ ...task, recipe: 'x' })) })), null);
  t.is(await twinOf(describedJob(TASKS, { tasks: tasks.map((task) => ({ ...task, begin: 'fresh' as const })) })), null);
  const pending = { queue: async () => first.tasks.map(() => ({ state: 'pending' as const, reason: null })) };
  t.is(await resumableTwin(runs, describedJob(TASKS), () => pending), null, 'it goes on by itself');

  const second = await createJob(runs, { ...describedJob(TASKS), submittedAt: '2025-01-02T03:04:06.000Z' });
  t.is(await twinOf(), second.id);
  const damaged = await createJob(runs, { ...describedJob(TASKS), submittedAt: '2025-01-02T03:04:07.000Z' });
  writeFileSync(path.join(damaged.folder, 'job.json'), '{');
  t.is(await twinOf(), second.id, 'a damaged one does not matter');
  for (const index of [0, 1]) await writeRequest(second, index, { what: 'cancel', at: second.submittedAt, starts: 0 });
  t.is(await twinOf(), null, 'what the user cancelled needs no retry');
});
