import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { createJob, type Job, logFile, taskFile } from '../../src/jobs/job.js';
import { taskStatuses } from '../../src/jobs/states.js';
import { endingText } from '../../src/jobs/task-ending.js';
import { readHistory, type TaskHistory, writeHistory } from '../../src/jobs/task-history.js';
import { runTask } from '../../src/jobs/task-process.js';
import { writeRequest } from '../../src/jobs/task-request.js';
import { type WorkOptions, workerExitCode, workOn } from '../../src/jobs/worker.js';
import { NOTHING_SAVED } from '../../src/runs/saved-position.js';
import { BusyError, UserError } from '../../src/support/errors.js';
import { Lock } from '../../src/support/lock.js';
import { jobOf } from '../helpers/jobs.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';

type Process = Parameters<typeof runTask>[0];
/** What a start of the command does; it returns its exit code, or the signal that ends it. */
type Start = (process: Process, run: string) => number | NodeJS.Signals | Promise<number | NodeJS.Signals>;

const AT = '2025-01-02T03:04:05.678Z';

/** A worker whose command does these things, one a start. The run directory is `run`. */
async function worker(t: ExecutionContext, starts: readonly Start[], given?: Job) {
  const job = given ?? (await jobOf(t, [['tiny', 0]]));
  const run = path.join(job.runs, 'tiny', 'run');
  const left = [...starts];
  const resumptions: string[] = [];
  const asked: boolean[] = [];
  const stop = new AbortController();
  const options: WorkOptions = {
    executor: {
      again: async (_job, _index, { progressed }) => {
        asked.push(progressed);
        return 'here';
      },
      identify: () => ({ job: '12_0' }),
    },
    stop: stop.signal,
    ownGroup: false,
    note: () => {},
    run: async (process) => {
      resumptions.push(...process.resumption);
      const start = left.shift();
      if (start === undefined) throw new Error('One start more than expected.');
      const end = await start(process, run);
      const message = 'said';
      return typeof end === 'number' ? { code: end, signal: null, message } : { code: null, signal: end, message };
    },
  };
  const work = (changes: Partial<WorkOptions> = {}) => workOn(job, 0, { ...options, ...changes });
  return { job, run, work, stop, resumptions, asked, left, history: () => readHistory(job, 0) };
}

/** Has a run directory, and saves a checkpoint of this iteration. */
const saving =
  (iteration: number, end: number | NodeJS.Signals): Start =>
  async ({ onRun }, run) => {
    mkdirSync(path.join(run, 'checkpoints'), { recursive: true });
    writeFileSync(path.join(run, 'checkpoints', `iteration-${iteration}.json`), '{}');
    await onRun(run);
    return end;
  };

const verdicts = ({ starts }: TaskHistory) => starts.map(({ end }) => end?.verdict);

test('a task that ends early is started again and resumes its own run, until it completes', async (t) => {
  const { work, run, resumptions, asked, history } = await worker(t, [
    saving(2, 75),
    saving(2, 'SIGKILL'),
    saving(4, 143),
    saving(6, 0),
  ]);
  t.is(await work(), 'completed');
  t.deepEqual(resumptions, ['--resume', ...Array.from({ length: 3 }, () => `--resume-run=${run}`)]);
  t.deepEqual(asked, [true, false, true], 'what brought progress');
  const { starts } = await history();
  t.deepEqual(verdicts({ starts }), ['again', 'again', 'again', 'completed']);
  t.deepEqual(
    starts.map(({ before }) => before.iteration),
    [0, 2, 2, 4],
  );
  t.like(starts[1], { run, scheduler: { job: '12_0' }, end: { code: null, signal: 'SIGKILL', progressed: false } });
  t.is(await work(), 'completed', 'and nothing is started any more');
});

test('three starts in a row without progress are the last', async (t) => {
  const { job, work, history, left } = await worker(t, [saving(2, 75), () => 75, () => 'SIGKILL', () => 75, () => 0]);
  t.is(await work(), 'given up');
  t.deepEqual(verdicts(await history()), ['again', 'again', 'again', 'given up']);
  t.is(await workerExitCode(job, 0, 'given up'), 1, 'its scheduler must not start it again');
  t.is(await work(), 'given up');
  t.is(left.length, 1);
  await writeRequest(job, 0, { what: 'retry', at: AT, starts: 4 });
  t.is(await work(), 'completed', 'only the user starts it again');
});

test('after a retry, earlier starts no longer count', async (t) => {
  const { job, work, left } = await worker(
    t,
    Array.from({ length: 7 }, () => () => 75),
  );
  t.is(await work(), 'given up');
  await writeRequest(job, 0, { what: 'retry', at: AT, starts: 3 });
  t.is(await work(), 'given up');
  t.is(left.length, 1, 'three times each');
});

test('the log says how each start ended, and what follows', async (t) => {
  const { job, work } = await worker(t, [saving(2, 75), () => 'SIGKILL', () => 2]);
  await work();
  const at = /\d{4}-\d\d-\d\dT\S+Z/g;
  t.is(
    readFileSync(logFile(job, 0), 'utf8').replaceAll(at, 'AT'),
    '== Ended early (exit code 75): it starts again here, and resumes its run.\n' +
      '== Ended early (killed by SIGKILL): it starts again here, and resumes its run.\n' +
      `== Failed with exit code 2, AT. Fix the cause, then:\n   fcn jobs retry ${job.id} tiny --runs ${job.runs}\n`,
  );
});

test('the log of a task tells a time limit, a signal of Slurm, a stop of its job and a cancellation apart', async (t) => {
  const local = await jobOf(t, [['tiny', 0]]);
  const at = '2025-01-02T03:04:05.678Z';
  const end = { at, code: 143, signal: null, progressed: true, message: null, verdict: 'again' as const };
  const slurm = { ...local, executor: 'slurm' as const };
  const home = { ...local, workingFolder: path.dirname(local.runs), runs: path.join(path.dirname(local.runs), 'runs') };
  t.regex(endingText(slurm, 0, { ...end, because: 'stopped' }), /time limit is near: Slurm starts it again/);
  t.regex(endingText(slurm, 0, { ...end, because: 'signal' }), /unless it was cancelled\.$/);
  t.is(
    endingText(home, 0, { ...end, because: 'stopped' }),
    `== Stopped with its job. To resume it:\n   fcn jobs retry ${local.id} tiny`,
  );
  t.regex(
    endingText(home, 0, { ...end, because: 'cancelled', verdict: 'cancelled' }),
    /^== Cancelled, 2025.*\n {3}fcn jobs/,
  );
});

for (const code of [1, 2, 3, 9]) {
  test(`exit code ${code} is for good`, async (t) => {
    const { job, work, history } = await worker(t, [() => code]);
    t.is(await work(), 'failed');
    t.is(await workerExitCode(job, 0, 'failed'), code);
    t.like((await history()).starts[0], { run: null, end: { code, message: 'said', verdict: 'failed' } });
    t.is(await work(), 'failed', 'whoever asks');
  });
}

test('a task that is cancelled while it runs ends, and stays so', async (t) => {
  const { job, work, history } = await worker(t, [
    async ({ stop }) => {
      await writeRequest(job, 0, { what: 'cancel', at: AT, starts: 1 });
      while (!stop.aborted) await sleep(5);
      return 143;
    },
    () => 0,
  ]);
  t.is(await work(), 'cancelled');
  t.like((await history()).starts[0]?.end, { because: 'cancelled', verdict: 'cancelled' });
  t.is(await work(), 'cancelled');
  await writeRequest(job, 0, { what: 'retry', at: AT, starts: 1 });
  t.is(await work(), 'completed');
});

test('a task that is cancelled before its start, or between two, is not started', async (t) => {
  const { job, work, history } = await worker(t, [() => 75]);
  await writeRequest(job, 0, { what: 'cancel', at: AT, starts: 0 });
  t.is(await work(), 'cancelled');
  t.deepEqual((await history()).starts, []);
  await writeRequest(job, 0, { what: 'retry', at: AT, starts: 0 });
  const again: WorkOptions['executor']['again'] = async (_job, _index, _end, signal) => {
    await writeRequest(job, 0, { what: 'cancel', at: AT, starts: 1 });
    while (!signal.aborted) await sleep(5);
    return 'here';
  };
  t.is(await work({ executor: { again, identify: () => ({}) } }), 'cancelled');
});

test('a stop is passed on; a signal that all have heard is not', async (t) => {
  const stopped = await worker(t, [
    async ({ stop }) => {
      stopped.stop.abort();
      return stop.aborted ? 143 : 1;
    },
  ]);
  const elsewhere = { again: async () => 'elsewhere' as const, identify: () => ({}) };
  t.is(await stopped.work({ executor: elsewhere }), 'again');
  t.is((await stopped.history()).starts[0]?.end?.because, 'stopped');
  t.is(await stopped.work({ executor: elsewhere }), 'again', 'nothing more is started');

  const signalled = new AbortController();
  const heard = await worker(t, [
    async ({ stop }) => {
      signalled.abort();
      return stop.aborted ? 1 : 143;
    },
  ]);
  t.is(await heard.work({ executor: elsewhere, signalled: signalled.signal }), 'again');
  t.is((await heard.history()).starts[0]?.end?.because, 'signal');
  t.is(await workerExitCode(heard.job, 0, 'again'), 75);
});

test('a start whose worker was killed gets its end from the next one', async (t) => {
  const { job, work, run, history, resumptions } = await worker(t, [saving(6, 0)]);
  await mkdir(path.join(run, 'checkpoints'), { recursive: true });
  writeFileSync(path.join(run, 'checkpoints', 'iteration-4.json'), '{}');
  const lost = { at: AT, host: 'gone', processId: 1, scheduler: {}, run, before: NOTHING_SAVED, end: null };
  await writeHistory(job, 0, { starts: [lost] });
  t.is(await work(), 'completed');
  t.like((await history()).starts[0]?.end, { because: 'lost', progressed: true, verdict: 'again' });
  t.deepEqual(resumptions, [`--resume-run=${run}`]);
});

test('a task whose worker is killed each time is given up, too', async (t) => {
  const { job, work } = await worker(t, []);
  const lost = { at: AT, host: 'gone', processId: 1, scheduler: {}, run: null, before: NOTHING_SAVED };
  const ended = { at: AT, code: null, signal: null, progressed: false, because: 'lost', message: null } as const;
  const end = { ...ended, verdict: 'again' } as const;
  await writeHistory(job, 0, {
    starts: [
      { ...lost, end },
      { ...lost, end },
      { ...lost, end: null },
    ],
  });
  t.is(await work(), 'given up');
});

const removing: Start = (_, run) => {
  rmSync(run, { recursive: true });
  return 75;
};

test('a run directory that was removed is not resumed, and --fresh makes only one new run', async (t) => {
  const job = await jobOf(t, [['tiny', 0]]);
  const tasks = job.tasks.map((task) => ({ ...task, begin: 'fresh' as const }));
  const { work, run, resumptions } = await worker(t, [saving(2, 75), removing, saving(2, 0)], { ...job, tasks });
  t.is(await work(), 'completed');
  t.deepEqual(resumptions, ['--fresh', `--resume-run=${run}`, '--fresh']);
});

test('only one worker has a task', async (t) => {
  const { job, work } = await worker(t, [() => 0]);
  const lock = await Lock.take(taskFile(job, 0, 'lock'), false);
  await t.throwsAsync(work(), { instanceOf: BusyError });
  await lock.release();
  t.is(await work(), 'completed');
});

test('a damaged history is said, with a way out', async (t) => {
  const { job, work } = await worker(t, [() => 0]);
  writeFileSync(taskFile(job, 0, 'json'), '{"starts": [{}]}');
  await t.throwsAsync(work(), { instanceOf: UserError, message: /0\.json is damaged/ });
});

test('a request that is damaged while a task runs stops it only after that start', async (t) => {
  const { job, work, history, left } = await worker(t, [
    () => {
      writeFileSync(taskFile(job, 0, 'request'), 'damaged');
      return 75;
    },
    () => 0,
  ]);
  await t.throwsAsync(work(), { instanceOf: UserError, message: /0\.request is damaged/ });
  t.deepEqual(verdicts(await history()), ['again']);
  t.is(left.length, 1);
});

withSmallDisk(
  'a disk that is full when the history is written is said, and the next worker resumes the task',
  async (t) => {
    const parent = await jobOf(t, [['other', 0]]);
    const disk = await smallDisk(t, parent.folder, '200k');
    const job = await createJob(disk.folder, parent);
    const filler = path.join(disk.folder, 'filler');
    const { work, history } = await worker(
      t,
      [
        () => {
          try {
            writeFileSync(filler, Buffer.alloc(300_000));
          } catch {
            // It is full.
          }
          return 0;
        },
        () => 0,
      ],
      job,
    );
    await t.throwsAsync(work(), { instanceOf: UserError, message: /^Disk full while writing .*0\.json\.$/ });
    rmSync(filler);
    // As if the process had ended.
    rmSync(taskFile(job, 0, 'lock'));
    t.is((await history()).starts[0]?.end, null);
    t.is(await work(), 'completed');
  },
);

test('a log that cannot be written fails the task, and its history says why', async (t) => {
  const { job, work, history } = await worker(t, []);
  await mkdir(logFile(job, 0));
  t.is(await work({ run: runTask }), 'failed');
  t.is(await workerExitCode(job, 0, 'failed'), 2);
  t.like((await history()).starts[0]?.end, {
    code: 2,
    message: `${logFile(job, 0)} is a folder, a file was expected.`,
  });
});

test('a job that was removed while a task runs stays so, and is said', async (t) => {
  const { job, work } = await worker(t, [
    async ({ onRun }, run) => {
      rmSync(job.folder, { recursive: true });
      await onRun(run);
      return 0;
    },
  ]);
  await t.throwsAsync(work(), { instanceOf: UserError, message: /tasks was removed while this process worked in it/ });
  t.false(existsSync(job.folder));
  const queue = async () => null;
  await t.throwsAsync(taskStatuses(job, { queue }), { instanceOf: UserError, message: /is no job any more/ });
});
