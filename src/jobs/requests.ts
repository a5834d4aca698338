import { existsSync } from 'node:fs';
import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import type { Executor, ExecutorContext } from './executor.js';
import { type Job, requireInPlace, type Task } from './job.js';
import { taskName } from './names.js';
import { isRetried, type TaskState, type TaskStatus, taskStatuses } from './states.js';
import { retryCommand } from './task-ending.js';
import { runOf } from './task-history.js';
import { writeRequest } from './task-request.js';

/** States of a task that can be cancelled: something may still start it, or the user may retry it. */
const CANCELLABLE: readonly TaskState[] = ['pending', 'running', 'waiting', 'stopped', 'lost', 'unreadable'];

const mark = (job: Job, { task, history }: TaskStatus, what: 'cancel' | 'retry') =>
  writeRequest(job, task.index, { what, at: new Date().toISOString(), starts: history.starts.length });

/**
 * Cancels tasks, as far as they have not ended for good.
 * @returns the indices of those that it cancelled.
 * @throws UserError if the folder of the job cannot be written, or the scheduler refuses.
 */
export async function cancelTasks(
  job: Job,
  tasks: readonly Task[],
  executor: Executor,
  context: ExecutorContext,
): Promise<number[]> {
  const statuses = await taskStatuses(job, executor);
  const chosen = statuses.filter(({ task, state }) => CANCELLABLE.includes(state) && includes(tasks, task));
  for (const status of chosen) await mark(job, status, 'cancel');
  const indices = chosen.map(({ task }) => task.index);
  if (indices.length > 0) await executor.cancel(job, indices, context);
  return indices;
}

const includes = (tasks: readonly Task[], { index }: Task) => tasks.some((task) => task.index === index);

/**
 * Marks tasks to be started again: those that failed, were given up, lost or stopped.
 * @param named Tasks that the user named: also cancelled ones. Null: all tasks of the job.
 * @returns their indices.
 * @throws UserError if there is none, or the folder of the job cannot be written.
 */
export async function requestRetry(job: Job, named: readonly Task[] | null, executor: Executor): Promise<number[]> {
  await requireInPlace(job);
  const statuses = await taskStatuses(job, executor);
  const chosen = statuses.filter((status) => {
    if (named === null) return isRetried(status);
    return includes(named, status.task) && (isRetried(status) || status.state === 'cancelled');
  });
  if (chosen.length === 0) throw nothingToRetry(job, statuses, named);
  for (const status of chosen) await mark(job, status, 'retry');
  return chosen.map(({ task }) => task.index);
}

function nothingToRetry(job: Job, statuses: readonly TaskStatus[], named: readonly Task[] | null): UserError {
  const unreadable = statuses.find(
    ({ task, problem }) => problem !== null && (named === null || includes(named, task)),
  );
  if (unreadable?.problem != null) return unreadable.problem;
  const removed = (named === null ? [] : statuses).find(
    ({ task, state, history }) =>
      state === 'completed' && includes(named!, task) && !existsSync(runOf(history) ?? job.runs),
  );
  if (removed !== undefined) {
    return new UserError(
      `${taskName(job, removed.task.index)} has completed, but its run directory was removed: ${runOf(removed.history)}.`,
      'To repeat the run, submit its row again; kept records stay in fcn table.',
    );
  }
  const cancelled = statuses.filter(({ state }) => state === 'cancelled');
  const what = named === null ? `No task of job ${job.id}` : 'None of these tasks';
  const message = `${what} has failed, was given up, lost or stopped.`;
  if (cancelled.length === 0 || named !== null) return new UserError(message, `See fcn jobs show ${job.id}.`);
  const names = [taskName(job, cancelled[0]!.task.index), ...(cancelled.length === 1 ? [] : ['*'])];
  return new UserError(
    `${message} ${formatNumber(cancelled.length, 'cancelled task')} must be named to start again.`,
    names.map((name) => retryCommand(job, name, process.cwd())).join('\n'),
  );
}
