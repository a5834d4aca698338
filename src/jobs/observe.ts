import { setTimeout as sleep } from 'node:timers/promises';
import { type InspectedRun, inspectRun } from '../runs/inspect.js';
import { isFolder } from '../support/files.js';
import type { Executor } from './executor.js';
import { type Job, logFile } from './job.js';
import { taskName } from './names.js';
import { hasEnded, type TaskState, type TaskStatus, taskStatuses } from './states.js';
import { runOf } from './task-history.js';

/** What is known of a task. */
export interface ObservedTask {
  readonly index: number;
  /** As in `taskName`. */
  readonly name: string;
  readonly row: string;
  readonly seed: number;
  readonly state: TaskState;
  /** Why it waits, in the scheduler's words; null if there is no reason. */
  readonly reason: string | null;
  /** How often it was started. */
  readonly starts: number;
  /** Exit code of the last start; null if it has not ended, or a signal ended it. */
  readonly exitCode: number | null;
  /** The signal that ended the last start; null if there was none. */
  readonly signal: string | null;
  /** Why its files cannot be read, or the error that the last start ended with; null if there is neither. */
  readonly message: string | null;
  /** The machine and the worker of the last start; null before the first. */
  readonly host: string | null;
  readonly processId: number | null;
  /** How the scheduler called the last start. */
  readonly scheduler: Readonly<Record<string, string>>;
  readonly log: string;
  /** Null while it has none, and if the run directory was removed. */
  readonly run: InspectedRun | null;
}

/** A job and its tasks as they are now. */
export interface ObservedJob extends Pick<Job, 'id' | 'folder' | 'submittedAt' | 'executor' | 'command'> {
  /** As of `Executor.schedulerIds`. */
  readonly schedulerIds: readonly string[];
  readonly tasks: readonly ObservedTask[];
}

/** A job in a list. */
export interface JobSummary extends Omit<ObservedJob, 'tasks' | 'schedulerIds'> {
  readonly tasks: readonly Pick<ObservedTask, 'index' | 'name' | 'state'>[];
}

/** As `observeJob`, without looking at runs. */
export async function summarizeJob(job: Job, executor: Executor): Promise<JobSummary> {
  const { id, folder, submittedAt, command } = job;
  const tasks = (await taskStatuses(job, executor)).map(({ task: { index }, state }) => {
    return { index, name: taskName(job, index), state };
  });
  return { id, folder, submittedAt, executor: job.executor, command, tasks };
}

/** @throws UserError if the job's folder cannot be read. */
export async function observeJob(job: Job, executor: Executor): Promise<ObservedJob> {
  const { id, folder, submittedAt, command } = job;
  const statuses = await taskStatuses(job, executor);
  const tasks = await Promise.all(statuses.map((status) => observeTask(job, status)));
  const schedulerIds = await executor.schedulerIds(job);
  return { id, folder, submittedAt, executor: job.executor, command, schedulerIds, tasks };
}

async function observeTask(job: Job, { task, state, reason, history, problem }: TaskStatus): Promise<ObservedTask> {
  const { index, row, seed } = task;
  const last = history.starts.at(-1);
  const run = runOf(history);
  return {
    index,
    name: taskName(job, index),
    row,
    seed,
    state,
    reason,
    starts: history.starts.length,
    exitCode: last?.end?.code ?? null,
    signal: last?.end?.signal ?? null,
    message:
      problem === null
        ? (last?.end?.message ?? null)
        : [problem.message, ...(problem.next ? [problem.next] : [])].join(' '),
    host: last?.host ?? null,
    processId: last?.processId ?? null,
    scheduler: last?.scheduler ?? {},
    log: logFile(job, index),
    run: run !== null && (await isFolder(run)) ? await inspectRun(run) : null,
  };
}

interface WatchOptions {
  readonly seconds: number;
  /** Ends the watching. */
  readonly signal: AbortSignal;
}

/**
 * Looks at a job repeatedly until none of its tasks is pending, running or waiting, or the signal is aborted.
 * @returns its last state.
 */
export async function watchJob(
  look: () => Promise<ObservedJob>,
  { seconds, signal }: WatchOptions,
  onLook: (job: ObservedJob) => void,
): Promise<ObservedJob> {
  for (;;) {
    const job = await look();
    onLook(job);
    if (signal.aborted || job.tasks.every(hasEnded)) return job;
    await sleep(seconds * 1000, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
