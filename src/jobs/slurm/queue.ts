import { realpath, stat } from 'node:fs/promises';
import { z } from 'zod';
import type { QueuedTask } from '../executor.js';
import type { Job } from '../job.js';
import { isSettled } from '../states.js';
import { callSlurm } from './programs.js';
import { arrayIdOf, readSubmissions } from './submissions.js';

/** A number as Slurm's JSON has it: since version 23.02 with a sign whether it is set. */
const numeral = z
  .union([
    z.number(),
    z
      .object({ set: z.boolean(), infinite: z.boolean(), number: z.number() })
      .transform(({ set, infinite, number }) => (set && !infinite ? number : null)),
  ])
  .nullish();

/** Since version 24.05, a state is a list: what the job is, and what happens to it besides. */
const states = z
  .union([z.string(), z.array(z.string())])
  .transform((state) => (Array.isArray(state) ? state : [state]));

const entrySchema = z.object({
  job_id: z.number(),
  array_job_id: numeral,
  array_task_id: numeral,
  /** Indices of tasks that have no entry of their own yet: "0-2,7%4". */
  array_task_string: z.string().nullish(),
  job_state: states,
  state_reason: z.string().nullish(),
  restart_cnt: numeral,
  current_working_directory: z.string().nullish(),
  start_time: numeral,
  preempt_time: numeral,
});

/** What squeue says of a task, or of several that have not begun. */
export interface QueueEntry {
  /** Id of the array. */
  readonly array: string;
  readonly states: readonly string[];
  readonly reason: string | null;
  /** How often it was started again. */
  readonly restarts: number;
  /** Whether it was chosen to make room for another job since it was started. */
  readonly isPreempted: boolean;
  /** Null for an entry without one. */
  readonly folder: string | null;
  has(index: number): boolean;
}

/** Whether indices as Slurm writes them, "0-3,7" or "1-9:2%4" or "[0,2]", have one. */
export function hasIndex(text: string, index: number): boolean {
  return text
    .replace(/%\d+$/, '')
    .replaceAll(/[[\]]/g, '')
    .split(',')
    .some((part) => {
      const [, first, last, step = '1'] = /^(\d+)(?:-(\d+)(?::(\d+))?)?$/.exec(part) ?? [];
      if (first === undefined) return false;
      const [from, to] = [Number(first), Number(last ?? first)];
      return index >= from && index <= to && (index - from) % Number(step) === 0;
    });
}

/**
 * The entries of `squeue --json`. Names and comments in it are not read: whoever submits a job chooses them.
 * @returns Null if it is not what squeue prints.
 */
export function parseQueue(text: string): QueueEntry[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  const parsed = z.object({ jobs: z.array(z.unknown()) }).safeParse(value);
  if (!parsed.success) return null;
  return parsed.data.jobs.flatMap((job) => {
    // A job of another kind is not one of ours.
    const entry = entrySchema.safeParse(job).data;
    if (entry === undefined) return [];
    const { array_job_id: array, array_task_id: task, array_task_string: tasks, state_reason: reason } = entry;
    return [
      {
        array: String(array ? array : entry.job_id),
        states: entry.job_state,
        reason: reason === undefined || reason === null || reason === '' || reason === 'None' ? null : reason,
        restarts: entry.restart_cnt ?? 0,
        isPreempted: (entry.preempt_time ?? 0) >= (entry.start_time ?? 0) && (entry.preempt_time ?? 0) > 0,
        folder: entry.current_working_directory ?? null,
        has: (index: number) => (tasks ? hasIndex(tasks, index) : task === index),
      },
    ];
  });
}

/** States in which a job waits to be started. */
const WAITING: ReadonlySet<string> = new Set([
  ...['PENDING', 'REQUEUED', 'REQUEUE_HOLD', 'REQUEUE_FED', 'SPECIAL_EXIT', 'RESV_DEL_HOLD'],
]);

/** States in which its processes exist, those that are ending included. */
const RUNNING: ReadonlySet<string> = new Set([
  ...['RUNNING', 'COMPLETING', 'CONFIGURING', 'SUSPENDED', 'STOPPED', 'SIGNALING', 'STAGE_OUT', 'RESIZING'],
]);

/** What an entry means for a task. */
export function queuedTask({ states, reason }: Pick<QueueEntry, 'states' | 'reason'>): QueuedTask {
  if (states.some((state) => RUNNING.has(state))) return { state: 'running', reason: null };
  if (states.some((state) => WAITING.has(state))) return { state: 'pending', reason };
  const state = states.includes('CANCELLED') ? 'cancelled' : 'absent';
  return { state, reason: [...states, ...(reason === null ? [] : [reason])].join(', ') };
}

/** Asks squeue for the jobs of a user; null if it cannot be asked. */
async function askQueue(user: number, arrays: readonly string[]): Promise<QueueEntry[] | null> {
  const result = await callSlurm(
    'squeue',
    // 22.05 lists all jobs, whatever is chosen; later versions only these.
    ['--json', '--states=all', `--user=${user}`],
    // Otherwise the indices of an array end after 64 characters with "...".
    { environment: { ...process.env, SLURM_BITSTR_LEN: '0' } },
  );
  if (result.outcome !== 'success') return null;
  return parseQueue(result.stdout)?.filter(({ array }) => arrays.includes(array)) ?? null;
}

/** The entries of arrays of a job, by their ids; null if Slurm cannot be asked from here. */
export async function entriesOf(
  { folder }: Pick<Job, 'folder'>,
  arrays: readonly string[],
): Promise<QueueEntry[] | null> {
  const { uid } = await stat(folder);
  const entries = await askQueue(uid, arrays);
  // A Slurm that lost its state counts its jobs from 1 again: another job may have the id.
  const place = await realpath(folder);
  return entries?.filter((entry) => entry.folder === null || entry.folder === place) ?? null;
}

/** Each task of a job as Slurm sees it, by index; null if Slurm cannot be asked from here. */
export async function queueOf(job: Pick<Job, 'folder' | 'tasks'>): Promise<QueuedTask[] | null> {
  // What has ended for good needs no question: old jobs are listed at once.
  if (await hasEnded(job)) return job.tasks.map(() => ({ state: 'absent', reason: null }));
  const submissions = await readSubmissions(job);
  const entries = await entriesOf(
    job,
    submissions.map(({ id }) => id),
  );
  if (entries === null) return null;
  return job.tasks.map(({ index }) => {
    const array = arrayIdOf(submissions, index);
    const entry = entries.find((one) => one.array === array && one.has(index));
    return entry === undefined ? { state: 'absent', reason: null } : queuedTask(entry);
  });
}

async function hasEnded(job: Pick<Job, 'folder' | 'tasks'>): Promise<boolean> {
  for (const { index } of job.tasks) {
    if (!(await isSettled(job, index))) return false;
  }
  return true;
}
