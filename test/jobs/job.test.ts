import { renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { createJob, JOB_FILE, readJob } from '../../src/jobs/job.js';
import { localExecutor } from '../../src/jobs/local/executor.js';
import { requestRetry } from '../../src/jobs/requests.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { describedJob, jobOf } from '../helpers/jobs.js';

for (const indices of [
  [0, 0],
  [0, 5],
  [1, 0],
]) {
  test(`a job whose tasks are numbered ${indices.join(', ')} is damaged`, async (t) => {
    const { folder } = await jobOf(t, [['tiny', 0]]);
    const { tasks, ...others } = describedJob(indices.map((seed) => ['tiny', seed] as const));
    const numbered = tasks.map((task, place) => ({ ...task, index: indices[place] }));
    writeFileSync(path.join(folder, JOB_FILE), JSON.stringify({ ...others, tasks: numbered }));
    const error = await t.throwsAsync<UserError>(readJob(folder), { instanceOf: UserError });
    t.regex(error!.message, /job\.json: .*index.* expected [01]: the tasks are numbered from 0, in order/);
    t.truthy(error!.next);
  });
}

test('tasks of a job that was moved do not begin anew in the old folder', async (t) => {
  const parent = await temporaryFolder(t);
  const [runs, moved] = [path.join(parent, 'runs'), path.join(parent, 'moved')];
  const described = describedJob([['tiny', 0]]);
  const tasks = described.tasks.map((task) => ({ ...task, arguments: [...task.arguments, `--runs=${runs}`] }));
  const { id } = await createJob(runs, { ...described, tasks });
  const retry = async (folder: string) =>
    requestRetry(await readJob(path.join(folder, 'jobs', id)), null, localExecutor);
  t.deepEqual(await retry(runs), [0]);
  renameSync(runs, moved);
  const error = await t.throwsAsync<UserError>(retry(moved), { instanceOf: UserError });
  t.true(error!.message.includes(runs) && error!.message.includes(moved), error!.message);
  symlinkSync(moved, runs);
  t.deepEqual(await retry(moved), [0], 'the old path leads there');
});
