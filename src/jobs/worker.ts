import { appendFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { isFurther, NOTHING_SAVED, savedPosition } from '../runs/saved-position.js';
import { BusyError, ExitCode, UserError } from '../support/errors.js';
import { explainFileError, isFolder } from '../support/files.js';
import { Lock, LostLockError } from '../support/lock.js';
import type { Executor } from './executor.js';
import { type Job, logFile, requireInPlace, type Task, taskFile } from './job.js';
import { settledEnd } from './states.js';
import { endingText } from './task-ending.js';
import { withWayOut } from './task-file.js';
import {
  MOST_WITHOUT_PROGRESS,
  readHistory,
  runOf,
  type StartEnd,
  startsWithoutProgress,
  type TaskEnd,
  type TaskHistory,
  type TaskStart,
  writeHistory,
} from './task-history.js';
import { type ProcessEnd, repeat, runTask } from './task-process.js';
import { readRequest } from './task-request.js';

export interface WorkOptions {
  readonly executor: Pick<Executor, 'again' | 'identify'>;
  /** Is aborted if the task is to save its state and end, to be resumed later: this process passes it on. */
  readonly stop: AbortSignal;
  /** Is aborted if a signal came that the processes of the task have all heard. Default: none does. */
  readonly signalled?: AbortSignal;
  /** Whether a signal for this process's group must not reach the task's. */
  readonly ownGroup: boolean;
  /**
   * Whether to wait for another worker that has the task. A scheduler that took a node for dead starts a task elsewhere while the first
   * worker lives; if this one ended, nothing would start the task again.
   */
  readonly waitForLock?: boolean;
  readonly note: (text: string) => void;
  /** Runs the command of the task. Default: as a process. */
  readonly run?: typeof runTask;
}

/**
 * Does a task: starts its command, and again as long as the executor says so. Nothing is started if the task has ended for good or
 * was cancelled, whoever asks.
 * @returns How it ended; `again`: it was stopped, or the scheduler will start it again.
 * @throws BusyError if another worker has the task, unless it waits; UserError if the folder of the job cannot be written.
 */
export async function workOn(job: Job, index: number, options: WorkOptions): Promise<TaskEnd> {
  await requireInPlace(job);
  const task = job.tasks[index]!;
  const lock = await takeTask(job, index, options);
  if (lock === null) return leave(job, index, options);
  return lock.during(async () => {
    for (;;) {
      const history = await closeLostStart(job, index);
      const settled = settledEnd(history, await readRequest(job, index));
      if (settled !== null) return settled;
      if (isToEnd(options)) return leave(job, index, options);
      const end = await startOnce({ job, task, history, options, lock });
      if (end.verdict !== 'again') return end.verdict;
      const cancelled = new AbortController();
      const watching = watchForCancel(job, index, () => cancelled.abort());
      const signal = AbortSignal.any([options.stop, cancelled.signal]);
      const where = await options.executor.again(job, index, end, signal).finally(() => watching.end());
      if (where === 'elsewhere') return 'again';
    }
  });
}

/** Whether the worker was told to end. */
const isToEnd = ({ stop, signalled }: WorkOptions) => stop.aborted || signalled?.aborted === true;

/** Ends before the command was started: its scheduler must learn all the same whether to start the task again. */
async function leave(job: Job, index: number, { executor, stop }: WorkOptions): Promise<TaskEnd> {
  const because = stop.aborted ? 'stopped' : 'signal';
  await executor.again(job, index, { because, progressed: false }, AbortSignal.abort());
  return 'again';
}

/** The lock of a task; null if the worker is to end before it is known whether another one, on another machine, still has it. */
async function takeTask(
  job: Job,
  index: number,
  { stop, signalled, waitForLock = false }: WorkOptions,
): Promise<Lock | null> {
  const signal = signalled === undefined ? stop : AbortSignal.any([stop, signalled]);
  try {
    return await withWayOut(Lock.take(taskFile(job, index, 'lock'), waitForLock, { signal }));
  } catch (error) {
    if (signal.aborted && !(error instanceof UserError)) return null;
    throw error;
  }
}

/**
 * Writes the end of a start whose worker was killed. What it saved counts as progress.
 * @returns the history with it.
 */
async function closeLostStart(job: Job, index: number): Promise<TaskHistory> {
  const history = await readHistory(job, index);
  const last = history.starts.at(-1);
  if (last === undefined || last.end !== null) return history;
  const progressed = isFurther(await positionOf(runOf(history)), last.before);
  const end: StartEnd = {
    at: new Date().toISOString(),
    code: null,
    signal: null,
    progressed,
    because: 'lost',
    verdict: 'again',
    message: null,
  };
  const closed = await decided(job, index, withEnd(history, end));
  await writeHistory(job, index, closed);
  return closed;
}

const positionOf = async (run: string | null) => (run === null ? NOTHING_SAVED : savedPosition(run));

const withLast = ({ starts }: TaskHistory, change: Partial<TaskStart>): TaskHistory => ({
  starts: [...starts.slice(0, -1), { ...starts.at(-1)!, ...change }],
});

const withEnd = (history: TaskHistory, end: StartEnd) => withLast(history, { end });

/** The history; given up if its last starts brought nothing. */
async function decided(job: Job, index: number, history: TaskHistory): Promise<TaskHistory> {
  const { end } = history.starts.at(-1)!;
  if (end?.verdict !== 'again') return history;
  const request = await readRequest(job, index);
  const since = request?.what === 'retry' ? request.starts : 0;
  if (startsWithoutProgress(history, since) < MOST_WITHOUT_PROGRESS) return history;
  return withEnd(history, { ...end, verdict: 'given up' });
}

interface Start {
  readonly job: Job;
  readonly task: Task;
  readonly history: TaskHistory;
  readonly options: WorkOptions;
  readonly lock: Lock;
}

/** Starts the command once and waits for its end. The history says so before and after. */
async function startOnce({ job, task, history: before, options, lock }: Start): Promise<StartEnd> {
  const { index } = task;
  const known = runOf(before);
  const run = known !== null && (await isFolder(known)) ? known : null;
  const position = await positionOf(run);
  const at = new Date().toISOString();
  const { executor } = options;
  const scheduler = { ...executor.identify(process.env) };
  const start: TaskStart = {
    at,
    host: hostname(),
    processId: process.pid,
    scheduler,
    run,
    before: position,
    end: null,
  };
  let history: TaskHistory = { starts: [...before.starts, start] };
  await writeHistory(job, index, history);
  const cancelled = new AbortController();
  const watching = watchForCancel(job, index, () => cancelled.abort());
  const ended = await (options.run ?? runTask)({
    job,
    task,
    heading: `== Start ${history.starts.length}, ${at}, process ${process.pid} on ${hostname()}`,
    resumption: run === null ? [`--${task.begin}`] : [`--resume-run=${run}`],
    stop: AbortSignal.any([options.stop, cancelled.signal]),
    ownGroup: options.ownGroup,
    onRun: async (directory) => {
      // Writing would bring back the folder of a job that was removed.
      await lock.assertHeld();
      history = withLast(history, { run: directory });
      await writeHistory(job, index, history);
    },
  })
    .finally(() => watching.end())
    .catch(endOfMistake);
  await lock.assertHeld();
  const because = reasonOf(cancelled.signal, options);
  const end: StartEnd = {
    at: new Date().toISOString(),
    ...ended,
    progressed: isFurther(await positionOf(runOf(history)), position),
    because,
    verdict: verdictOf(ended, because),
  };
  history = withEnd(history, end);
  // First: to decide what follows, other files must be intact.
  await writeHistory(job, index, history);
  const next = await decided(job, index, history);
  if (next !== history) await writeHistory(job, index, next);
  history = next;
  const last = history.starts.at(-1)!.end!;
  await logEnding(job, index, last, options);
  return last;
}

/** Writes into the task's log how a start ended. The history has it already: a log that cannot be written is only said. */
async function logEnding(job: Job, index: number, end: StartEnd, { note }: WorkOptions): Promise<void> {
  const file = logFile(job, index);
  await appendFile(file, `${endingText(job, index, end)}\n`).catch((error) => {
    const { message } = explainFileError(error, file, 'write') as Error;
    note(message);
  });
}

/**
 * The end of a start whose command or log the worker could not see to: the task says why, and is not started again before the user has
 * seen to it.
 */
function endOfMistake(error: unknown): ProcessEnd {
  if (!(error instanceof UserError) || error instanceof LostLockError || error instanceof BusyError) throw error;
  return { code: error.exitCode, signal: null, message: error.message };
}

function reasonOf(cancelled: AbortSignal, { stop, signalled }: WorkOptions): StartEnd['because'] {
  if (cancelled.aborted) return 'cancelled';
  if (stop.aborted) return 'stopped';
  return signalled?.aborted ? 'signal' : null;
}

/** Codes of a command that can be resumed. */
const RESUMABLE: readonly (number | null)[] = [null, ExitCode.tryAgain, ExitCode.interrupted, ExitCode.terminated];

function verdictOf({ code }: Pick<ProcessEnd, 'code'>, because: StartEnd['because']): TaskEnd {
  if (code === ExitCode.success) return 'completed';
  if (!RESUMABLE.includes(code)) return 'failed';
  return because === 'cancelled' ? 'cancelled' : 'again';
}

/** Milliseconds between two looks for a request. */
const REQUEST_MILLISECONDS = 500;

function watchForCancel(job: Job, index: number, onCancel: () => void) {
  return repeat(async () => {
    // A damaged one ends the worker after this start.
    const request = await readRequest(job, index).catch((error: unknown) => {
      if (error instanceof UserError) return null;
      throw error;
    });
    if (request?.what === 'cancel') onCancel();
  }, REQUEST_MILLISECONDS);
}

/** Exit code of a worker, for its scheduler: that of the task's command if it failed; 75 if the task is to be started again. */
export async function workerExitCode(job: Job, index: number, end: TaskEnd): Promise<number> {
  switch (end) {
    case 'completed':
      return ExitCode.success;
    case 'again':
      return ExitCode.tryAgain;
    case 'cancelled':
      return ExitCode.terminated;
    case 'given up':
      return ExitCode.failed;
    case 'failed':
      return (await readHistory(job, index)).starts.at(-1)?.end?.code ?? ExitCode.failed;
  }
}
