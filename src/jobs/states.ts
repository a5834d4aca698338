import { existsSync } from 'node:fs';
import path from 'node:path';
import { stateOf } from '../runs/directory.js';
import { UserError } from '../support/errors.js';
import type { LockState } from '../support/lock-file.js';
import { inspectLock } from '../support/lock-file.js';
import type { Executor, QueuedTask } from './executor.js';
import { JOB_FILE, type Job, type Task, taskFile } from './job.js';
import { withWayOut } from './task-file.js';
import { readHistory, type TaskEnd, type TaskHistory } from './task-history.js';
import { readRequest, type TaskRequest } from './task-request.js';

/**
 * States of a task. `pending`: not started yet, or to be started again as the user asked; `waiting`: ended early, and will be started
 * again; `stopped`: nothing will start it, unless the user does; `lost`: its worker was killed, and nothing will start it again;
 * `given up`: several starts in a row brought no progress; `unreadable`: its files are damaged, so nothing starts it.
 */
export const TASK_STATES = [
  'pending',
  'running',
  'waiting',
  'stopped',
  'lost',
  'completed',
  'failed',
  'given up',
  'cancelled',
  'unreadable',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** States in which a task stays, unless the user starts it again. */
const ENDED: readonly TaskState[] = ['stopped', 'lost', 'completed', 'failed', 'given up', 'cancelled', 'unreadable'];
export const hasEnded = ({ state }: { readonly state: TaskState }) => ENDED.includes(state);

/** States of tasks that a retry starts again. */
const RETRIED: readonly TaskState[] = ['stopped', 'lost', 'failed', 'given up'];
export const isRetried = ({ state }: { readonly state: TaskState }) => RETRIED.includes(state);

/** A task as it is now. */
export interface TaskStatus {
  readonly task: Task;
  readonly state: TaskState;
  /** Why it is pending or waiting, in the scheduler's words; null if there is no reason. */
  readonly reason: string | null;
  /** Empty if it is damaged. */
  readonly history: TaskHistory;
  readonly request: TaskRequest | null;
  /** Why its files cannot be read; null if they can. */
  readonly problem: UserError | null;
}

/** Whether the user asked for another start, and it has not come yet. */
export function isRequested({ history, request }: Pick<TaskStatus, 'history' | 'request'>): boolean {
  return request?.what === 'retry' && request.starts === history.starts.length;
}

/** How a task has ended for good; null if it may be started. */
export function settledEnd(history: TaskHistory, request: TaskRequest | null): Exclude<TaskEnd, 'again'> | null {
  const verdict = history.starts.at(-1)?.end?.verdict ?? null;
  if (verdict === 'completed') return verdict;
  if (isRequested({ history, request })) return null;
  if (verdict !== null && verdict !== 'again') return verdict;
  return request?.what === 'cancel' ? 'cancelled' : null;
}

interface Sources {
  readonly history: TaskHistory;
  readonly request: TaskRequest | null;
  /** The worker's; null if nobody holds it. */
  readonly lock: LockState | null;
  /** Null if the scheduler cannot be asked. */
  readonly queued: QueuedTask | null;
}

/** The state of a task from all that is known of it; needs no accounting, and no scheduler that still knows the job. */
export function taskState({ history, request, lock, queued }: Sources): TaskState {
  const last = history.starts.at(-1);
  const isHeld = stateOf('running', lock) === 'running';
  if (isHeld && last?.end === null) return 'running';
  const settled = settledEnd(history, request);
  if (settled !== null) return settled;
  // Between two starts of a worker.
  if (isHeld) return last === undefined ? 'pending' : 'waiting';
  const before =
    last === undefined || isRequested({ history, request }) ? 'pending' : last.end === null ? 'lost' : 'waiting';
  switch (queued?.state) {
    case undefined:
      return before;
    case 'running':
      return 'running';
    case 'pending':
      return before === 'lost' ? 'waiting' : before;
    case 'absent':
      return before === 'lost' ? 'lost' : 'stopped';
    case 'cancelled':
      return 'cancelled';
  }
}

/**
 * The state of each task now. A task whose files are damaged is `unreadable`, whatever the others are.
 * @throws UserError if the folder of the job was removed, or the scheduler cannot be asked.
 */
export async function taskStatuses(job: Job, executor: Pick<Executor, 'queue'>): Promise<TaskStatus[]> {
  if (!existsSync(path.join(job.folder, JOB_FILE))) {
    throw new UserError(
      `${job.folder} is no job any more: its ${JOB_FILE} was removed.`,
      'Submit the job again: its tasks resume their runs.',
    );
  }
  // The queue first: what a worker writes afterwards is newer.
  const queue = await executor.queue(job);
  return Promise.all(
    job.tasks.map(async (task) => {
      const queued = queue?.[task.index] ?? null;
      const found = await observe(job, task, queued);
      // Its worker may have started between two reads.
      return found.state === 'lost' ? observe(job, task, queued) : found;
    }),
  );
}

const orProblem = <T>(reading: Promise<T>): Promise<T | UserError> =>
  reading.catch((error: unknown) => {
    if (error instanceof UserError) return error;
    throw error;
  });

/** Whether a task has ended for good as far as its files say; so has one whose files cannot be read. */
export async function isSettled(job: Pick<Job, 'folder'>, index: number): Promise<boolean> {
  const history = await orProblem(readHistory(job, index));
  const request = await orProblem(readRequest(job, index));
  if (history instanceof UserError || request instanceof UserError) return true;
  return settledEnd(history, request) !== null;
}

async function observe(job: Job, task: Task, queued: QueuedTask | null): Promise<TaskStatus> {
  const { index } = task;
  // The lock first: a worker writes the end of a start before it releases the lock.
  const lock = await orProblem(withWayOut(inspectLock(taskFile(job, index, 'lock'))));
  const history = await orProblem(readHistory(job, index));
  const request = await orProblem(readRequest(job, index));
  const problem = [lock, history, request].find((found) => found instanceof UserError) ?? null;
  if (lock instanceof UserError || history instanceof UserError || request instanceof UserError) {
    // A worker that has the task goes on, and writes the history anew.
    const isHeld = !(lock instanceof UserError) && stateOf('running', lock) === 'running';
    const known = history instanceof UserError ? { starts: [] } : history;
    return { task, state: isHeld ? 'running' : 'unreadable', reason: null, history: known, request: null, problem };
  }
  const state = taskState({ history, request, lock, queued });
  const reason = state === 'pending' || state === 'waiting' ? (queued?.reason ?? null) : null;
  return { task, state, reason, history, request, problem: null };
}
