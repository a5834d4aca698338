import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { createJob, jobIds, readJob } from '../../src/jobs/job.js';
import { findJob, findTasks, taskName, tasksNamed } from '../../src/jobs/names.js';
import { runsBelow } from '../../src/runs/run-reader.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { describedJob, jobOf } from '../helpers/jobs.js';

const TASKS = [
  ['fcn_r18', 0],
  ['fcn_r50', 0],
  ['fcn_r50', 1],
  ['2', 7],
] as const;

test('a task is named by its row, its seed, its index, or a unique beginning', async (t) => {
  const job = await jobOf(t, TASKS);
  t.deepEqual(
    job.tasks.map(({ index }) => taskName(job, index)),
    ['fcn_r18', 'fcn_r50:0', 'fcn_r50:1', '2'],
  );
  const indices = (name: string) => tasksNamed(job, name).map(({ index }) => index);
  t.deepEqual(indices('fcn_r18'), [0]);
  t.deepEqual(indices('fcn_r18:0'), [0]);
  t.deepEqual(indices('fcn_r50'), [1, 2]);
  t.deepEqual(indices('fcn_r50:1'), [2]);
  t.deepEqual(indices('0'), [0]);
  t.deepEqual(indices('2'), [3], 'a row of this name comes first');
  t.deepEqual(indices('fcn_r1'), [0]);
  t.deepEqual(indices('*:0'), [0, 1]);
  t.deepEqual(indices(':1'), [2], 'a seed of any row');
  t.deepEqual(indices(':0'), [0, 1]);
  t.throws(() => indices(':6'), { instanceOf: UserError });
  t.throws(() => indices('fcn'), { instanceOf: UserError, message: '"fcn" could be 2 rows: fcn_r18, fcn_r50.' });
  t.is(t.throws<UserError>(() => indices('fcn_r19'))?.next, 'Did you mean fcn_r18?');
  t.throws(() => indices(''), { instanceOf: UserError });
  t.throws(() => indices('9'), { instanceOf: UserError });
  t.throws(() => indices('-\n|"'), { instanceOf: UserError });
});

test('a job is named by its id, a unique beginning, or its folder; the newest without a name', async (t) => {
  const runs = await temporaryFolder(t);
  const none = await t.throwsAsync<UserError>(findJob(runs, undefined));
  t.regex(none.message, /^There are no jobs in /);
  const described = describedJob([['tiny', 0]]);
  const later = { ...described, submittedAt: '2025-01-02T03:04:06.000Z' };
  const made = await Promise.all(Array.from({ length: 12 }, () => createJob(runs, described)));
  t.is(new Set(made.map(({ id }) => id)).size, 12, 'each has a folder of its own');
  const newest = await createJob(runs, later);
  t.is(newest.id, '20250102-030406');
  t.deepEqual((await jobIds(runs)).slice(-3), ['20250102-030405-11', '20250102-030405-12', newest.id]);
  t.is((await findJob(runs, undefined)).id, newest.id);
  t.is((await findJob(runs, '20250102-030405')).id, '20250102-030405', 'the whole id, though others begin with it');
  t.is((await findJob(runs, '20250102-030405-12')).id, '20250102-030405-12');
  t.is((await findJob(runs, '20250102-030406')).id, newest.id);
  t.is((await findJob('elsewhere', newest.folder)).id, newest.id);
  t.is((await findJob('elsewhere', path.join(newest.folder, 'job.json'))).runs, path.resolve(runs));
  await t.throwsAsync(findJob(runs, '2025'), { instanceOf: UserError, message: /^"2025" could be 13 jobs: / });
  await t.throwsAsync(findJob(runs, ''), { instanceOf: UserError });
  await t.throwsAsync(findJob(runs, '../..'), { instanceOf: UserError });
  t.is((await t.throwsAsync<UserError>(findJob(runs, '20250102-030416'))).next, `Did you mean ${newest.id}?`);
});

test('a name of tasks alone means the newest job, or the mistake says so', async (t) => {
  const runs = await temporaryFolder(t);
  await t.throwsAsync(findTasks(runs, { job: 'tiny', tasks: undefined }, 'logs'), {
    message: /^No job is called/,
  });
  await createJob(runs, describedJob([['old', 0]]));
  const later = { submittedAt: '2025-01-02T03:04:06.000Z' };
  const newest = await createJob(
    runs,
    describedJob(
      [
        ['tiny', 0],
        ["it's", 0],
        ['2025', 0],
      ],
      later,
    ),
  );
  const found = async (job?: string, tasks?: string) => {
    const { job: of, tasks: named } = await findTasks(runs, { job, tasks }, 'logs');
    return [of.id, named?.map(({ index }) => index)];
  };
  t.deepEqual(await found(), [newest.id, undefined]);
  t.deepEqual(await found('tiny'), [newest.id, [0]]);
  t.deepEqual(await found('20250102-030405', 'old'), ['20250102-030405', [0]]);
  await t.throwsAsync(found('2025'), { message: /could be 2 jobs/ }, 'a job comes first');
  await t.throwsAsync(found('old'), { message: /^No job is called old/ }, 'not of an older job');
  await t.throwsAsync(found('tiny', '0'), { message: /^No job is called tiny/ });
  const error = await t.throwsAsync<UserError>(findTasks(runs, { job: "it's", tasks: undefined }, 'cancel'));
  t.is(error.message, `"it's" is no job, but a task of the newest job, ${newest.id}.`);
  t.is(error.next, `fcn jobs cancel ${newest.id} 'it'\\''s'`);
});

test('a job that cannot be read says which file is wrong', async (t) => {
  const job = await jobOf(t, [['tiny', 0]]);
  const file = path.join(job.folder, 'job.json');
  for (const [text, message] of [
    ['{', /job\.json is not JSON: /],
    ['{"format": 2}', /job\.json: .*format/],
  ] as const) {
    writeFileSync(file, text);
    await t.throwsAsync(readJob(job.folder), { instanceOf: UserError, message });
  }
});

test('a folder that cannot be made leaves no job', async (t) => {
  const runs = await temporaryFolder(t);
  writeFileSync(path.join(runs, 'jobs'), '');
  await t.throwsAsync(createJob(runs, describedJob([['tiny', 0]])), { instanceOf: UserError });
  t.deepEqual(await jobIds(runs).catch((error: unknown) => error instanceof UserError), true);
});

test('jobs are no runs, but a row may be called jobs', async (t) => {
  const job = await jobOf(t, [['jobs', 0]]);
  const run = path.join(job.runs, 'jobs', '20250102-030405-abcdef01');
  mkdirSync(run);
  writeFileSync(path.join(run, 'run.json'), '{}');
  t.deepEqual(
    (await runsBelow(job.runs)).map(({ folder }) => folder),
    [run],
  );
  t.deepEqual(await jobIds(job.runs), [job.id]);
});
