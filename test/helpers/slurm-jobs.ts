import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { executorOf } from '../../src/jobs/executors.js';
import { findJob } from '../../src/jobs/names.js';
import { type ObservedJob, type ObservedTask, observeJob } from '../../src/jobs/observe.js';
import { type CommandResult, fcn, fcnProcess } from './command.js';
import type { Slurm } from './slurm.js';

/** A job of a Slurm, and the folder of the commands. */
export interface SlurmJob {
  readonly slurm: Slurm;
  readonly cwd: string;
  readonly id: string;
  /** Slurm's id of the first array. */
  readonly array: string;
}

const JOBS = (cwd: string) => path.join(cwd, 'runs', 'jobs');

/** Runs fcn where it finds a Slurm. */
export function fcnWith(slurm: Slurm, cwd: string, ...parameters: string[]): Promise<CommandResult> {
  return fcn(parameters, { cwd, env: slurm.environment });
}

/** Submits a job; the command must succeed. */
export async function submit(slurm: Slurm, cwd: string, ...parameters: string[]): Promise<SlurmJob> {
  // In a process of its own: jobs of one test file may use different engines.
  const { code, stderr } = await fcnProcess(['reproduce', ...parameters, '--executor', 'slurm'], {
    cwd,
    env: slurm.environment,
  });
  const array = /as the array (\d+)\./.exec(stderr)?.[1];
  if (code !== 0 || array === undefined) throw new Error(`fcn reproduce ended with ${code}:\n${stderr}`);
  return { slurm, cwd, array, id: readdirSync(JOBS(cwd)).sort().at(-1)! };
}

/** What `fcn jobs show --json` says. */
export async function shown({ slurm, cwd, id }: SlurmJob): Promise<ObservedJob> {
  const { code, stdout, stderr } = await fcnWith(slurm, cwd, 'jobs', 'show', id, '--json');
  if (code !== 0) throw new Error(`fcn jobs show ended with ${code}:\n${stderr}`);
  return JSON.parse(stdout) as ObservedJob;
}

/** The same without the command. This process's environment must name the Slurm. */
async function observe({ cwd, id }: SlurmJob): Promise<ObservedJob> {
  return observeJob(await findJob(path.join(cwd, 'runs'), id), executorOf('slurm'));
}

/** The tasks' states, by their names. */
export const statesOf = ({ tasks }: ObservedJob): Record<string, string> =>
  Object.fromEntries(tasks.map(({ name, state }) => [name, state]));

/** Waits until all tasks fit; fails with what Slurm and the tasks wrote after so many seconds. */
export async function whenAll(
  job: SlurmJob,
  fit: (task: ObservedTask) => boolean,
  seconds: number,
): Promise<ObservedJob> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const observed = await observe(job);
    if (observed.tasks.every(fit)) return observed;
    if (Date.now() > end)
      throw new Error(`Not in ${seconds} s: ${JSON.stringify(observed.tasks, null, 1)}\n${evidence(job)}`);
    await sleep(300);
  }
}

function evidence({ slurm, cwd, id }: SlurmJob): string {
  const folder = path.join(JOBS(cwd), id, 'logs');
  const logs = readdirSync(folder).map((name) => `== ${name}\n${readFileSync(path.join(folder, name), 'utf8')}`);
  return [...logs, slurm.call('squeue'), slurm.logs()].join('\n');
}

/** How Slurm calls a task. */
export const taskOf = ({ array }: SlurmJob, index: number) => `${array}_${index}`;

/** Lines of the training logs of a row's runs. */
export function trainedLines(cwd: string, row: string): number {
  const folder = path.join(cwd, 'runs', row);
  const runs = existsSync(folder) ? readdirSync(folder) : [];
  const lines = runs.map((run) => {
    const file = path.join(folder, run, 'log.jsonl');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
  });
  return Math.max(0, ...lines);
}

/**
 * Ends the waits of requeued tasks as soon as Slurm has cleaned up after them, until the returned function is called: a worker leaves
 * twenty seconds for that. Not in the same second: a node then refuses the start, because the task was ended in it, and the task is lost.
 */
export function hurried({ slurm, array }: Pick<SlurmJob, 'slurm' | 'array'>): () => Promise<void> {
  let isOver = false;
  // Another update in between would put the start off again: Slurm looks for tasks to start every few seconds.
  const hurriedAt = new Map<string, number>();
  const hurrying = (async () => {
    while (!isOver) {
      const lines = slurm.call('squeue', '--noheader', '--array', '--states=PENDING', '--format=%i|%r|%S').split('\n');
      for (const line of lines) {
        const [task, reason, start = ''] = line.split('|');
        const wait = Date.parse(start) - Date.now();
        if (!task?.startsWith(`${array}_`) || reason !== 'BeginTime' || wait < 3000) continue;
        if (Date.now() - (hurriedAt.get(task) ?? 0) < 15_000) continue;
        hurriedAt.set(task, Date.now());
        try {
          slurm.call('scontrol', 'update', `jobid=${task}`, 'starttime=now+2');
        } catch {
          // It has been started meanwhile.
        }
      }
      await sleep(300);
    }
  })();
  return async () => {
    isOver = true;
    await hurrying;
  };
}

const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Keys of the log that are times or memory. */
const MEASURED = new Set(['secondsPerIteration', 'dataSeconds', 'processBytes']);

/**
 * What of a row's only completed run must not depend on interruptions: hashes of its last weights and optimizer, and its log without
 * times. A start that ended before there was anything to resume leaves a run directory without a record.
 */
export function outcomeOf(cwd: string, row: string) {
  const folder = path.join(cwd, 'runs', row);
  const runs = readdirSync(folder).filter((run) => existsSync(path.join(folder, run, 'record.json')));
  if (runs.length !== 1) throw new Error(`${row} has ${runs.length} runs with a record.`);
  const run = path.join(folder, runs[0]!);
  const { weights, figures } = JSON.parse(readFileSync(path.join(run, 'record.json'), 'utf8')) as {
    weights: { file: string };
    figures: { mIoU: number };
  };
  const stem = path.join(run, 'checkpoints', path.basename(weights.file, '.safetensors'));
  const log = readFileSync(path.join(run, 'log.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => Object.entries(JSON.parse(line) as object).filter(([key]) => !MEASURED.has(key)));
  return {
    weights: sha256(`${stem}.safetensors`),
    optimizer: sha256(`${stem}.optimizer.safetensors`),
    log: createHash('sha256').update(JSON.stringify(log)).digest('hex'),
    lines: log.length,
    mIoU: figures.mIoU,
  };
}
