import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { ObservedJob } from '../../src/jobs/observe.js';
import { fcn, fcnProcess, type RunningCommand } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

const TABLE = `table: Mine
recipe:
  model: { classes: 19, width: 4, pretrained: null }
  data: { dataset: cityscapes, imageScaleWh: [128, 64], cropHw: [32, 64] }
  training: { batch: 2, iterations: 6, checkpointEvery: 3, logEvery: 1 }
rows:
  - { id: good, parts: [R-18-D8] }
  - id: diverging
    parts: [R-18-D8]
    recipe: { training: { learningRate: 1.0e+30, iterations: 20 } }
  - id: without-data
    parts: [R-18-D8]
    recipe: { data: { dataset: camvid }, model: { classes: 11 } }
`;

/** Names that a shell, a scheduler's table or a parser of flags may stumble over. */
const HOSTILE = `-a b|"c"'d'\n$(touch e);é`;

const TRAIN = ['--engine', 'wasm', '--stage', 'train', '--set', 'pretrained=null'];

/** A folder of a hostile name, with a data set and an experiment file of a hostile name. */
async function hostileFolder(t: ExecutionContext) {
  const parent = await cityscapesFolder(t);
  const cwd = path.join(parent, HOSTILE);
  mkdirSync(cwd);
  renameSync(path.join(parent, 'data'), path.join(cwd, 'data'));
  writeFileSync(path.join(cwd, `${HOSTILE}.yaml`), TABLE);
  return cwd;
}

const FILE = [`--file=${HOSTILE}.yaml`];

/** Hashes of what a run computed: weights, optimizer, and the log without measured values. */
function computed(cwd: string, row: string, runs = 'runs'): string[] {
  const parent = path.join(cwd, runs, row);
  return readdirSync(parent).map((run) => {
    const folder = path.join(parent, run);
    const checkpoints = readdirSync(path.join(folder, 'checkpoints'))
      .filter((name) => name.endsWith('.safetensors'))
      .sort();
    const hash = createHash('sha256');
    for (const name of checkpoints) hash.update(name).update(readFileSync(path.join(folder, 'checkpoints', name)));
    for (const line of readFileSync(path.join(folder, 'log.jsonl'), 'utf8').trimEnd().split('\n')) {
      const { iteration, loss, decodeLoss, auxiliaryLoss, accuracy } = JSON.parse(line) as Record<string, number>;
      hash.update(JSON.stringify([iteration, loss, decodeLoss, auxiliaryLoss, accuracy]));
    }
    return hash.digest('hex');
  });
}

const states = (job: ObservedJob) => Object.fromEntries(job.tasks.map(({ name, state }) => [name, state]));

async function shown(cwd: string): Promise<ObservedJob> {
  const { stdout } = await fcn(['jobs', 'show', '--json'], { cwd });
  return JSON.parse(stdout) as ObservedJob;
}

test.serial('rows run side by side; what fails stays failed, and a retry starts only that', async (t) => {
  const cwd = await hostileFolder(t);
  const rows = ['good', 'diverging', 'without-data'];
  const job = [...FILE, ...TRAIN, '--executor', 'local', '--max-parallel', '3'];
  const refused = await fcn(['reproduce', ...rows, ...job], { cwd });
  t.is(refused.code, 2);
  t.regex(refused.stderr, /^error: without-data: CamVid: /m);
  t.false(existsSync(path.join(cwd, 'runs')), 'nothing was submitted');

  const { code, stdout, stderr } = await fcn(['reproduce', ...rows, ...job, '--keep-going'], { cwd });
  t.is(code, 3, stderr);
  t.regex(stderr, /^Job \d+-\d+: 3 tasks, in /m);
  t.regex(stderr, /^good: running/m);
  t.regex(stderr, /^ {2}fcn jobs retry \d+-\d+ *\n? +another start/m);
  t.regex(stdout, /^good +completed +1 +– +– +– +\d/m);
  t.regex(stdout, /^diverging \(failed\): exit code 3: The (loss|gradient)\b/m);
  t.regex(stdout, /^without-data \(failed\): exit code 2: CamVid: /m);
  t.regex(stdout, /^3 tasks: 1 completed, 2 failed\.$/m);

  const alone = ['reproduce', 'good', ...FILE, ...TRAIN, '--runs', 'alone', '--results', 'alone-results'];
  t.is((await fcn(alone, { cwd })).code, 0);
  t.deepEqual(computed(cwd, 'good'), computed(cwd, 'good', 'alone'));

  const retried = await fcn(['jobs', 'retry'], { cwd });
  t.is(retried.code, 3, retried.stderr);
  const last = await shown(cwd);
  t.deepEqual(
    last.tasks.map(({ name, starts, exitCode }) => [name, starts, exitCode]),
    [
      ['good', 1, 0],
      ['diverging', 2, 3],
      ['without-data', 2, 2],
    ],
  );
  t.false(existsSync(path.join(cwd, 'e')), 'no name was executed');

  const again = await fcn(['reproduce', 'good', ...job], { cwd });
  t.is(again.code, 0, again.stderr);
  t.is(readdirSync(path.join(cwd, 'runs', 'good')).length, 1, 'what an earlier job completed is not repeated');
  const log = await fcn(['jobs', 'logs', '--lines', '0'], { cwd });
  t.regex(log.stdout, /^== Start 1, .*\n(.*\n)*Run .* is already complete: nothing to do\./m);
  const list = await fcn(['jobs', 'list'], { cwd });
  t.regex(list.stdout, /^\S+ +local +\S+ \S+ +3 +1 completed, 2 failed\n\S+ +local +\S+ \S+ +1 +1 completed$/m);
});

test('a job for Kubernetes is refused before anything is written', async (t) => {
  const cwd = await temporaryFolder(t);
  const { code, stderr } = await fcn(['reproduce', 'fcn_r50-d8_512x512_20k_voc12aug', '--executor', 'kubernetes'], {
    cwd,
  });
  t.is(code, 2);
  t.is(
    stderr,
    'error: fcn writes manifests for Kubernetes, and submits none.\n' +
      'next: Add --dry-run, save what it prints, and give it to kubectl apply -f.\n',
  );
  t.deepEqual(readdirSync(cwd), []);
});

/** Iterations that the runs of a row have logged. */
function logged(cwd: string, row: string): number {
  const parent = path.join(cwd, 'runs', row);
  const logs = existsSync(parent) ? readdirSync(parent).map((run) => path.join(parent, run, 'log.jsonl')) : [];
  return logs.reduce((sum, log) => sum + (existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0), 0);
}

async function until(condition: () => boolean | Promise<boolean>, command: RunningCommand): Promise<boolean> {
  while (command.exitCode === null && !(await condition())) await sleep(20);
  return command.exitCode === null;
}

test.serial('a task that is killed, stopped and retried ends as if it had been left alone', async (t) => {
  const cwd = await hostileFolder(t);
  const parameters = ['reproduce', 'good', ...FILE, ...TRAIN, '--set', 'iterations=24'];
  t.is((await fcn([...parameters, '--runs', 'alone', '--results', 'alone-results'], { cwd })).code, 0);

  // The whole job is killed: nobody is left to watch its task, so that saves and ends.
  await fcnProcess([...parameters, '--executor', 'local'], {
    cwd,
    onStart: async (child) => {
      await until(() => logged(cwd, 'good') > 1, child);
      child.kill('SIGKILL');
    },
  });
  t.deepEqual(states(await shown(cwd)), { good: 'lost' });
  while (existsSync(path.join(onlyRun(cwd, 'good'), 'lock'))) await sleep(20);

  // The task alone is killed, and started again by the job; then the job is stopped.
  const before = logged(cwd, 'good');
  const stopped = await fcnProcess(['jobs', 'retry'], {
    cwd,
    onStart: async (child) => {
      if (await until(() => logged(cwd, 'good') > before + 3, child)) process.kill(holderOf(cwd, 'good'), 'SIGKILL');
      const starts = async () => readHistory(cwd, await idOf(cwd), 0).length;
      await until(async () => (await starts()) === 3 && logged(cwd, 'good') > before + 6, child);
      child.kill('SIGINT');
    },
  });
  t.is(stopped.code, 75, stopped.stderr);
  t.regex(
    stopped.stderr,
    /^error: Interrupted by SIGINT\. The tasks of job .* have stopped, with their state saved\.$/m,
  );
  t.regex(stopped.stderr, /^next: fcn jobs retry \S+ resumes them\.$/m);
  t.deepEqual(states(await shown(cwd)), { good: 'stopped' });

  const retried = await fcn(['jobs', 'retry', '--json'], { cwd });
  t.is(retried.code, 0, retried.stderr);
  const [task] = (JSON.parse(retried.stdout) as ObservedJob).tasks;
  t.like(task, { state: 'completed', starts: 4 });
  t.deepEqual(computed(cwd, 'good'), computed(cwd, 'good', 'alone'));
});

const onlyRun = (cwd: string, row: string) => {
  const parent = path.join(cwd, 'runs', row);
  return path.join(parent, readdirSync(parent)[0]!);
};

/** The process that executes the run of a row. */
function holderOf(cwd: string, row: string): number {
  return (JSON.parse(readFileSync(path.join(onlyRun(cwd, row), 'lock'), 'utf8')) as { pid: number }).pid;
}

test.serial('another terminal shows, follows, cancels and retries what runs', async (t) => {
  const cwd = await hostileFolder(t);
  const changes = ['--set', 'iterations=100000', '--repeat', '3'];
  const job = [...FILE, ...TRAIN, ...changes, '--executor', 'local', '--keep-going'];
  const seen: string[] = [];
  const result = await fcnProcess(['reproduce', 'good', ...job], {
    cwd,
    onStart: async (child) => {
      if (!(await until(() => logged(cwd, 'good') > 1, child))) return;
      const table = await fcn(['jobs', 'show'], { cwd });
      seen.push(table.stdout);
      const last = await fcn(['jobs', 'cancel', await idOf(cwd), 'good:2'], { cwd });
      seen.push(last.stdout);
      const following = fcnProcess(['jobs', 'logs', await idOf(cwd), 'good:0', '--follow', '-n', '0'], { cwd });
      await fcn(['jobs', 'cancel', await idOf(cwd), 'good:0'], { cwd });
      seen.push((await following).stdout);
      // The next one, with the same recipe but for its seed, is running or about to.
      const second = await shown(cwd);
      seen.push(second.tasks.map(({ state }) => state).join());
      await fcn(['jobs', 'cancel', await idOf(cwd)], { cwd });
    },
  });
  t.is(result.code, 143, result.stderr);
  const [table, cancelled, followed, second] = seen;
  t.regex(table!, /^good:0 +running +1 +train /m);
  t.regex(table!, /^3 tasks: 1 running, 2 pending\.$/m);
  t.is(cancelled, 'good:2: cancelled\n');
  t.regex(followed!, /^== Start 1, [\s\S]*^error: Interrupted after iteration \d+ of 100000\./m);
  t.regex(second!, /^cancelled,(running|pending),cancelled$/);
  t.deepEqual(states(await shown(cwd)), { 'good:0': 'cancelled', 'good:1': 'cancelled', 'good:2': 'cancelled' });
  const refused = await fcn(['jobs', 'retry'], { cwd });
  t.is(refused.code, 2);
  t.regex(refused.stderr, /^next: fcn jobs retry \S+ good:0\n {2}or: fcn jobs retry \S+ '\*'$/m);
  const named = await fcnProcess(['jobs', 'retry', await idOf(cwd), 'good:2', '--json'], {
    cwd,
    onStart: async (child) => {
      await until(async () => readHistory(cwd, await idOf(cwd), 2).length > 0, child);
      child.kill('SIGTERM');
    },
  });
  t.is(named.code, 75, named.stderr);
  t.is((await shown(cwd)).tasks[2]?.state, 'stopped');
});

const idOf = async (cwd: string) =>
  readdirSync(path.join(cwd, 'runs', 'jobs'))
    .sort()
    .at(-1)!;

/** The starts of a task. */
function readHistory(cwd: string, id: string, index: number): unknown[] {
  const file = path.join(cwd, 'runs', 'jobs', id, 'tasks', `${index}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { starts: unknown[] }).starts : [];
}
