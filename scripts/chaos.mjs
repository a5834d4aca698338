#!/usr/bin/env node
// Executes smoke rows as an array of a Slurm of its own, and disturbs them at random: time limits, preemption, requeues, cancellations,
// killed workers, a node that fails, a controller that restarts. In the end every row must have the weights, the optimizer state and
// the log that it has undisturbed. Needs Slurm and the built repository.
//
//   node scripts/chaos.mjs [--minutes 10] [--rows 12] [--seed 0] [--parallel 4] [--set path=value…] [--folder DIR] [--json]
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { executorOf } from '../dist/src/jobs/executors.js';
import { findJob } from '../dist/src/jobs/names.js';
import { observeJob } from '../dist/src/jobs/observe.js';
import { tablesOf } from '../dist/src/recipe/select.js';
import { Draws, Purpose } from '../dist/src/support/random.js';
import { hasSlurm, startSlurm } from '../dist/test/helpers/slurm.js';
import { outcomeOf } from '../dist/test/helpers/slurm-jobs.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rows: { type: 'string', default: '12' },
    seed: { type: 'string', default: '0' },
    parallel: { type: 'string', default: '4' },
    set: { type: 'string', multiple: true, default: ['width=8', 'iterations=150', 'checkpointEvery=50', 'logEvery=1'] },
    folder: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const say = (text) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
if (!hasSlurm) {
  say('Slurm and munge are not installed: apt-get install --no-install-recommends slurm-wlm munge');
  process.exit(2);
}

/** Seconds between two disturbances, at least and at most. */
const PAUSE = [1, 8];
/** Seconds that tasks may take once nothing disturbs them any more. */
const PATIENCE = 1800;

const cwd = flags.folder ?? mkdtempSync(path.join(os.tmpdir(), 'fcn-chaos-'));
mkdirSync(cwd, { recursive: true });
const calm = path.join(cwd, 'undisturbed');
mkdirSync(calm, { recursive: true });

/** Rows of the table of Cityscapes with one name each in the smoke profile. */
const rows = tablesOf(undefined)
  .find(({ name }) => name === 'Cityscapes')
  .rows.map(({ id }) => id)
  .slice(0, Number(flags.rows));

const SMOKE = [
  ...rows,
  ...['--profile', 'smoke', '--stage', 'train', '--stage', 'evaluate', '--data-root', path.join(cwd, 'data')],
  ...['--evaluate-every', '25', ...flags.set.flatMap((change) => ['--set', change])],
];

/** Runs fcn; its output goes to a file of its own. */
function fcn(folder, parameters, environment = {}) {
  const child = spawn(process.execPath, [path.join(root, 'bin', 'run.js'), ...parameters], {
    cwd: folder,
    env: { ...process.env, ...environment, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const file = createWriteStream(path.join(folder, 'commands.log'), { flags: 'a' });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
      file.write(text);
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => file.end(() => resolve({ code, output })));
  });
}

async function mustSucceed(folder, parameters, environment) {
  const { code, output } = await fcn(folder, parameters, environment);
  if (code !== 0) throw new Error(`fcn ${parameters.slice(0, 3).join(' ')} ended with ${code}:\n${output}`);
  return output;
}

/** Does what may come too late: for a task that ends or has ended meanwhile. scancel would try again for a minute. */
function attempt(slurm, program, ...parameters) {
  const options = { env: { ...process.env, ...slurm.environment }, timeout: 5000, stdio: 'ignore' };
  return spawnSync(program, parameters, options).status === 0;
}

/** What may happen to a running task. Each returns whether it did. */
const DISTURBANCES = {
  'warning of the time limit': ({ slurm, name }) => attempt(slurm, 'scancel', '--signal=USR2', '--batch', name),
  // A task that has run for a minute is warned, or ended, at once; another one after a minute.
  'time limit': ({ slurm, name }) => attempt(slurm, 'scontrol', 'update', `jobid=${name}`, 'timelimit=1'),
  requeue: ({ slurm, name }) => attempt(slurm, 'scontrol', 'requeue', name),
  preemption: ({ slurm }) =>
    attempt(
      slurm,
      'sbatch',
      '--partition=urgent',
      '--ntasks=1',
      '--cpus-per-task=14',
      '--output=/dev/null',
      '--wrap=sleep 6',
    ),
  scancel: ({ slurm, name }) => attempt(slurm, 'scancel', name),
  'fcn jobs cancel': async ({ slurm, id, task }) =>
    (await fcn(cwd, ['jobs', 'cancel', id, task.name], slurm.environment)).code === 0,
  'killed worker': ({ task }) => {
    if (task.processId === null) return false;
    try {
      process.kill(task.processId, 'SIGKILL');
      return true;
    } catch {
      return false;
    }
  },
  'failed node': async ({ slurm }) => {
    const node = os.hostname().split('.')[0];
    const failed = attempt(slurm, 'scontrol', 'update', `nodename=${node}`, 'state=down', 'reason=chaos');
    await sleep(2000);
    // It may have come back by itself.
    attempt(slurm, 'scontrol', 'update', `nodename=${node}`, 'state=resume');
    return failed;
  },
  'restarted controller': async ({ slurm }) => {
    await slurm.restart();
    return true;
  },
};

/** How often each is drawn. */
const WEIGHTS = {
  ...{ 'warning of the time limit': 5, 'time limit': 3, requeue: 4, preemption: 4, scancel: 2, 'fcn jobs cancel': 2 },
  ...{ 'killed worker': 2, 'failed node': 1, 'restarted controller': 1 },
};
const BAG = Object.entries(WEIGHTS).flatMap(([what, count]) => Array.from({ length: count }, () => what));

/** States after which only the user starts a task again. */
const LEFT = ['cancelled', 'lost', 'stopped', 'given up'];

async function main(slurm) {
  say(`generate a data set in ${cwd}`);
  await mustSucceed(cwd, ['datasets', 'generate', 'cityscapes', '--images', '12', '--size', '128x256']);
  const asked = ['--executor', 'slurm', '--max-parallel', flags.parallel, '--time', '30', '--mem', '800M'];
  const submitted = await mustSucceed(cwd, ['reproduce', ...SMOKE, ...asked], slurm.environment);
  const id = /^Job (\S+): /m.exec(submitted)[1];
  say(`job ${id} of ${rows.length} rows`);
  const job = await findJob(path.join(cwd, 'runs'), id);
  const look = () => observeJob(job, executorOf('slurm'));
  const { counts, retries } = await disturb({ slurm, id, look });
  say('nothing disturbs the tasks any more');
  const last = await finish({ slurm, id, look, retries });
  say('execute the same rows undisturbed');
  // As many threads as the tasks had: one.
  await mustSucceed(calm, ['reproduce', ...SMOKE, '--executor', 'local', '--max-parallel', '2'], {
    TF_NUM_INTRAOP_THREADS: '1',
  });
  const compared = last.tasks.map(({ row, state, starts }) => {
    const [disturbed, undisturbed] = [outcomeOf(cwd, row), outcomeOf(calm, row)];
    const different = Object.keys(undisturbed).filter((key) => disturbed[key] !== undisturbed[key]);
    return { row, state, starts, ...disturbed, different };
  });
  return { id, disturbances: counts, retries: retries.length, rows: compared };
}

async function disturb({ slurm, id, look }) {
  const draws = new Draws(Number(flags.seed), Purpose.generate, 0);
  const end = Date.now() + Number(flags.minutes) * 60_000;
  const counts = Object.fromEntries(Object.keys(DISTURBANCES).map((what) => [what, 0]));
  const retries = [];
  for (let turn = 0; Date.now() < end; turn++) {
    const [pause, which, whom] = [0, 1, 2].map((k) => draws.uniform(3 * turn + k));
    await sleep((PAUSE[0] + pause * (PAUSE[1] - PAUSE[0])) * 1000);
    const { tasks } = await look();
    await retryLeft({ slurm, id, tasks, retries });
    for (const task of tasks.filter(({ state }) => state === 'waiting')) {
      // Otherwise each of its starts would last a minute.
      attempt(slurm, 'scontrol', 'update', `jobid=${task.scheduler.task}`, 'timelimit=30');
    }
    const running = tasks.filter(({ state }) => state === 'running');
    if (running.length === 0) {
      if (tasks.every(({ state }) => state === 'completed'))
        throw new Error('All tasks completed before the time was over: give them more iterations.');
      continue;
    }
    const task = running[Math.floor(whom * running.length)];
    const what = BAG[Math.floor(which * BAG.length)];
    const name = task.scheduler.task;
    if (name === undefined) continue;
    const done = await DISTURBANCES[what]({ slurm, id, task, name });
    if (done) counts[what]++;
    say(`${what}${done ? '' : ' (too late)'}: ${task.name}`);
  }
  return { counts, retries };
}

/** The user starts again what was cancelled, lost or given up. */
async function retryLeft({ slurm, id, tasks, retries }) {
  for (const { name, state } of tasks.filter((task) => LEFT.includes(task.state))) {
    const { code } = await fcn(cwd, ['jobs', 'retry', id, name], slurm.environment);
    say(`fcn jobs retry ${name}, which was ${state}: ${code}`);
    retries.push({ name, state, code });
  }
}

async function finish({ slurm, id, look, retries }) {
  const end = Date.now() + PATIENCE * 1000;
  for (;;) {
    const seen = await look();
    const failed = seen.tasks.filter(({ state }) => state === 'failed');
    if (failed.length > 0) throw new Error(`Failed: ${JSON.stringify(failed, null, 1)}`);
    if (seen.tasks.every(({ state }) => state === 'completed')) return seen;
    if (Date.now() > end) throw new Error(`Not complete: ${JSON.stringify(seen.tasks, null, 1)}\n${slurm.logs()}`);
    await retryLeft({ slurm, id, tasks: seen.tasks, retries });
    await sleep(3000);
  }
}

const slurm = await startSlurm();
Object.assign(process.env, slurm.environment);
say(`export SLURM_CONF=${slurm.environment.SLURM_CONF}`);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => slurm.stop().then(() => process.exit(130)));
let failed = true;
try {
  const report = await main(slurm);
  failed = report.rows.some(({ different }) => different.length > 0);
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
} finally {
  await slurm.stop();
  if (failed) {
    say(`The runs are kept in ${cwd}.`);
    process.exitCode = 1;
  } else if (flags.folder === undefined) rmSync(cwd, { recursive: true, force: true });
}
