import { cpSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fcnProcess } from '../../helpers/command.js';
import { generated } from '../../helpers/datasets.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { long } from '../../helpers/long.js';
import { canStartProcesses, MPI_ENVIRONMENT } from '../../helpers/mpi.js';
import { hasSlurm, type Slurm, startSlurm, until } from '../../helpers/slurm.js';
import {
  fcnWith,
  hurried,
  outcomeOf,
  type SlurmJob,
  shown,
  statesOf,
  submit,
  taskOf,
  trainedLines,
  whenAll,
} from '../../helpers/slurm-jobs.js';
import { cut, SET } from '../../helpers/small-runs.js';
import { withSlurm } from '../../helpers/with-slurm.js';

/** A folder whose name a shell, Slurm's files or a pattern would take for something else. */
const HOSTILE = `it's "$(touch broken)" #1; ü, *`;

const ITERATIONS = 40;

/** Rows that are trained in seconds: three good ones, the last of which is the last of the array, a bad and a diverging one. */
const ROWS = `table: Mine
recipe:
  model: { classes: 11 }
  data: { dataset: camvid, imageScaleWh: [96, 64], cropHw: [32, 32] }
  training: { batch: 2, iterations: ${ITERATIONS}, checkpointEvery: 10, logEvery: 1 }
  evaluation: { imageScaleWh: [96, 64], limit: 1 }
  benchmark: { trainingBatch: 1, trainingSteps: 1, images: 1, warmup: 0 }
rows:
  - { id: first, parts: [R-18-D8] }
  - { id: bad, parts: [R-18-D8], recipe: { model: { classes: 19 }, data: { dataset: cityscapes } } }
  - { id: second, parts: [R-18-D8], recipe: { training: { batch: 3 } } }
  - { id: diverging, parts: [R-18-D8], recipe: { training: { learningRate: 1.0e+30 } } }
  - { id: last, parts: [R-18-D8], recipe: { training: { batch: 1 } } }
`;

const COMMAND = [
  ...['--file', 'rows.yaml', '--engine', 'wasm', '--stage', 'train', '--stage', 'evaluate'],
  ...SET('width=4', 'pretrained=null'),
];

let slurm: Slurm;
if (hasSlurm) {
  test.before(async () => {
    slurm = await startSlurm();
    process.env['SLURM_CONF'] = slurm.environment['SLURM_CONF'];
  });
}
test.after.always(() => slurm?.stop());

/** A working folder with the rows and small data sets. An image of the bad row cannot be read to its end. */
async function workingFolder(t: ExecutionContext) {
  const cwd = path.join(await temporaryFolder(t), HOSTILE);
  const camvid = await generated(t, 'camvid', 6, 64, 96);
  const cityscapes = await generated(t, 'cityscapes', 4, 64, 128);
  await mkdir(cwd);
  for (const { dataRoot } of [camvid, cityscapes]) cpSync(dataRoot, path.join(cwd, 'data'), { recursive: true });
  await writeFile(path.join(cwd, 'rows.yaml'), ROWS);
  const images = path.join(cwd, 'data', 'cityscapes', 'leftImg8bit', 'train');
  const names = await readdir(images, { recursive: true });
  const image = path.join(images, names.filter((name) => name.endsWith('.png')).sort()[0]!);
  return { cwd, image };
}

/** The same rows, undisturbed. */
async function undisturbed(t: ExecutionContext, ...rows: string[]) {
  const { cwd } = await workingFolder(t);
  const { code, stderr } = await fcnProcess(['reproduce', ...rows, ...COMMAND], { cwd });
  t.is(code, 0, stderr);
  return Object.fromEntries(rows.map((row) => [row, outcomeOf(cwd, row)]));
}

/** Does something to a task once its training has got further. */
async function onceFurther(job: SlurmJob, row: string, lines: number, act: () => void): Promise<void> {
  await until(() => trainedLines(job.cwd, row) >= lines, 180);
  act();
}

withSlurm(
  'interrupted rows end as undisturbed ones; a bad and a diverging row stay failed; a retry ends well',
  async (t) => {
    const expected = undisturbed(t, 'first', 'second', 'last');
    const { cwd, image } = await workingFolder(t);
    const whole = await readFile(image);
    await cut(image);
    const job = await submit(slurm, cwd, '--all', ...COMMAND, '--time', '30');
    const rest = hurried(job);
    const warn = (index: number) => void slurm.call('scancel', '--signal=USR2', '--batch', taskOf(job, index));
    const requeue = (index: number) => void slurm.call('scontrol', 'requeue', taskOf(job, index));
    // As at a time limit, as after a preemption, and both for the task whose number is that of the array.
    await Promise.all([
      onceFurther(job, 'first', 8, () => warn(0)).then(() => onceFurther(job, 'first', 20, () => warn(0))),
      onceFurther(job, 'second', 12, () => requeue(2)),
      onceFurther(job, 'last', 5, () => warn(4)).then(() => onceFurther(job, 'last', 18, () => requeue(4))),
    ]);
    const ended = await whenAll(job, ({ state }) => state === 'completed' || state === 'failed', 240);
    t.deepEqual(statesOf(ended), {
      ...{ first: 'completed', second: 'completed', last: 'completed' },
      ...{ bad: 'failed', diverging: 'failed' },
    });
    const starts = Object.fromEntries(ended.tasks.map(({ name, starts, exitCode }) => [name, [starts, exitCode]]));
    t.deepEqual(starts, { first: [3, 0], second: [2, 0], last: [3, 0], bad: [1, 2], diverging: [1, 3] });
    for (const [row, outcome] of Object.entries(await expected)) t.deepEqual(outcomeOf(cwd, row), outcome, row);

    await rest();
    await slurm.forget();
    t.deepEqual(statesOf(await shown(job)), statesOf(ended));

    await writeFile(image, whole);
    const { code, stderr } = await fcnWith(slurm, cwd, 'jobs', 'retry', job.id, 'bad');
    t.is(code, 0, stderr);
    const retried = await whenAll(job, ({ name, state }) => name !== 'bad' || state === 'completed', 180);
    t.is(retried.tasks.find(({ name }) => name === 'diverging')?.state, 'failed');
  },
);

withSlurm('what the user cancels stays cancelled, whoever ends it, also after Slurm has forgotten it', async (t) => {
  const { cwd } = await workingFolder(t);
  const job = await submit(
    slurm,
    cwd,
    'first',
    ...COMMAND,
    '--set',
    'iterations=5000',
    '--repeat',
    '4',
    '--max-parallel',
    '3',
  );
  const rest = hurried(job);
  await whenAll(job, ({ index, run }) => index === 3 || (run?.done ?? 0) > 0, 180);
  // One by fcn, one behind its back, one that must go on.
  const [cancelled] = await Promise.all([
    fcnWith(slurm, cwd, 'jobs', 'cancel', job.id, 'first:0'),
    fcnWith(slurm, cwd, 'jobs', 'cancel', job.id, 'first:3'),
  ]);
  t.is(cancelled.code, 0, cancelled.stderr);
  slurm.call('scancel', taskOf(job, 1));
  const some = await whenAll(job, ({ index, state }) => index === 2 || state === 'cancelled', 180);
  t.is(some.tasks[2]?.state, 'running');
  t.is(some.tasks[3]?.starts, 0);
  await fcnWith(slurm, cwd, 'jobs', 'cancel', job.id);
  await whenAll(job, ({ state }) => state === 'cancelled', 180);
  await rest();
  await slurm.forget();
  const { tasks } = await shown(job);
  t.deepEqual(
    tasks.map(({ state, starts }) => [state, starts]),
    [
      ['cancelled', 1],
      ['cancelled', 1],
      ['cancelled', 1],
      ['cancelled', 0],
    ],
  );
});

withSlurm('everything that Slurm would refuse, or never start, is named before anything is submitted', async (t) => {
  const { cwd } = await workingFolder(t);
  const asked = [
    '--partition',
    'mainn',
    '--mem',
    '999G',
    '--cpus',
    '99',
    '--gpus',
    '1',
    '--constraint',
    'a100',
    '--sbatch=--nonsense',
  ];
  const { code, stderr } = await fcnWith(slurm, cwd, 'reproduce', 'first', ...COMMAND, ...asked, '--executor', 'slurm');
  t.is(code, 2);
  for (const said of [
    /no partition mainn.*--partition main/s,
    /--mem 999G/,
    /--cpus 99/,
    /--gpus 1/,
    /a100/,
    /nonsense/,
    /uses no GPU/,
  ]) {
    t.regex(stderr, said);
  }
  const limit = await fcnWith(
    slurm,
    cwd,
    'reproduce',
    'first',
    ...COMMAND,
    '--time',
    '2:00:00',
    '--executor',
    'slurm',
    '--json',
  );
  const { error } = JSON.parse(limit.stdout) as { error: { problems: { message: string; next: string }[] } };
  t.regex(error.problems[0]!.message, /--time 2:00:00.*more than the partition main allows: 1 h 00 min/);
  t.regex(error.problems[0]!.next, /--time 1:00:00/);
  const dry = await fcnWith(
    slurm,
    cwd,
    'reproduce',
    'first',
    ...COMMAND,
    '--time',
    '30',
    '--executor',
    'slurm',
    '--dry-run',
  );
  t.is(dry.code, 0, dry.stderr);
  t.regex(dry.stdout, /✓ scheduler Slurm takes 1 task in the partition main/);
  t.regex(dry.stdout, /^#SBATCH --time=30$/m);
  await t.throwsAsync(readdir(path.join(cwd, 'runs', 'jobs')), { code: 'ENOENT' });
});

/** The native engine's: one thread for each process. */
const DIVIDED = [
  ...['first', '--file', 'rows.yaml', '--engine', 'tensorflow', '--stage', 'train', '--stage', 'evaluate'],
  ...SET('width=4', 'pretrained=null'),
];

(hasSlurm && canStartProcesses ? test.serial : test.serial.skip)(
  'the processes of a task are started by srun; a warned one saves, and the weights are those of one process',
  async (t) => {
    const { cwd: calm } = await workingFolder(t);
    const env = { ...MPI_ENVIRONMENT, TF_NUM_INTRAOP_THREADS: '1' };
    const alone = fcnProcess(['reproduce', ...DIVIDED, '--processes', '1'], { cwd: calm, env });
    const { cwd } = await workingFolder(t);
    const job = await submit(
      { ...slurm, environment: { ...slurm.environment, ...MPI_ENVIRONMENT } },
      cwd,
      ...DIVIDED,
      '--processes',
      '2',
      // Both processes are in the task's memory.
      '--mem',
      '1G',
    );
    const rest = hurried(job);
    await onceFurther(job, 'first', 8, () => void slurm.call('scancel', '--signal=USR2', '--batch', taskOf(job, 0)));
    const ended = await whenAll(job, ({ state }) => state === 'completed' || state === 'failed', 180);
    await rest();
    t.like(ended.tasks[0], { state: 'completed', starts: 2 });
    t.regex(readFileSync(ended.tasks[0]!.log, 'utf8'), /^error: Interrupted after iteration \d+ of 40\.$/m);
    const { code, stderr } = await alone;
    t.is(code, 0, stderr);
    // The log also has the bytes that a process holds: of two, each has a part of the batch.
    const [{ log: _, ...divided }, { log: __, ...whole }] = [outcomeOf(cwd, 'first'), outcomeOf(calm, 'first')];
    t.deepEqual(divided, whole);
  },
);

if (hasSlurm) {
  long('a row that needs several time limits ends as an undisturbed one', async (t) => {
    t.timeout(2_400_000);
    // Takes more than a minute on any machine; Slurm's shortest limit is one.
    const many = [...SET('iterations=4000', 'checkpointEvery=4000'), '--max-loss', '1h'];
    const { cwd } = await workingFolder(t);
    const job = await submit(slurm, cwd, 'first', ...COMMAND, ...many, '--time', '1');
    const ended = await whenAll(job, ({ state }) => state === 'completed' || state === 'failed', 1500);
    t.deepEqual(statesOf(ended), { first: 'completed' });
    t.true(ended.tasks[0]!.starts > 1);
    const { cwd: calm } = await workingFolder(t);
    const { code, stderr } = await fcnProcess(['reproduce', 'first', ...COMMAND, ...many], { cwd: calm });
    t.is(code, 0, stderr);
    t.deepEqual(outcomeOf(cwd, 'first'), outcomeOf(calm, 'first'));
  });
}
