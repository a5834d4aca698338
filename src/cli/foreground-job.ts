import type { Executor, ExecutorContext } from '../jobs/executor.js';
import type { Job } from '../jobs/job.js';
import { fitTasks, formatTaskLine } from '../jobs/list.js';
import { type ObservedJob, type ObservedTask, observeJob, watchJob } from '../jobs/observe.js';
import { ExitCode, InterruptedError } from '../support/errors.js';
import { printable, shellWords } from '../support/format.js';
import type { DisplayMode } from '../terminal/display.js';
import { TERMINAL_WIDTH } from '../terminal/layout.js';
import { Redrawn } from '../terminal/redraw.js';
import { placeFlags } from './next-steps.js';

/** Seconds between two looks. */
const LOOK_SECONDS = 1;

/** Seconds between two lines about the progress of a task, where lines are written. */
const LINE_SECONDS = 30;

/** Lines of a terminal of unknown height. */
const TERMINAL_HEIGHT = 24;

/** What showing a job needs of the command. */
export interface ShownOptions extends ExecutorContext {
  readonly display: DisplayMode;
}

/**
 * Does `work`, which submits tasks of a job. If that executes them, shows the job on standard error meanwhile.
 * @returns the job then.
 * @throws what `work` throws; InterruptedError with code 75 if the signal was aborted.
 */
export async function whileShown(
  job: Job,
  executor: Executor,
  { signal, display }: ShownOptions,
  work: () => Promise<void>,
): Promise<ObservedJob> {
  if (!executor.isForeground) {
    await work();
    return observeJob(job, executor);
  }
  const ended = new AbortController();
  // This process is the scheduler, even before it has said so.
  const pending = async () => job.tasks.map(() => ({ state: 'pending' as const, reason: null }));
  const look = () => observeJob(job, { ...executor, queue: pending });
  const { show, erase, keep } = shower(display);
  const watching = watchJob(look, { seconds: LOOK_SECONDS, signal: ended.signal }, show);
  const [done, watched] = await Promise.allSettled([work().finally(() => ended.abort()), watching]);
  erase();
  if (done.status === 'rejected') throw done.reason;
  if (watched.status === 'rejected') throw watched.reason;
  const last = await observeJob(job, executor);
  if (signal.aborted && last.tasks.some(({ state }) => state !== 'completed')) {
    // Nothing else says which tasks have stopped.
    show(last);
    keep();
    throw interruption(job, signal);
  }
  return last;
}

function interruption({ id, runs }: Job, signal: AbortSignal): InterruptedError {
  const reason = signal.reason instanceof InterruptedError ? signal.reason.message : 'Interrupted.';
  return new InterruptedError(
    `${reason} The tasks of job ${id} have stopped, with their state saved.`,
    ExitCode.tryAgain,
    `${shellWords(['fcn', 'jobs', 'retry', id, ...placeFlags({ runs })])} resumes them.`,
  );
}

interface Shower {
  readonly show: (job: ObservedJob) => void;
  readonly erase: () => void;
  /** What was shown last stays. */
  readonly keep: () => void;
}

function shower(display: DisplayMode): Shower {
  switch (display) {
    case 'live': {
      const redrawn = new Redrawn(process.stderr);
      const { columns, rows } = process.stderr;
      const [width, height] = [columns || TERMINAL_WIDTH, (rows || TERMINAL_HEIGHT) - 2];
      return {
        show: ({ tasks }) => redrawn.draw(printable(fitTasks(tasks, width, height))),
        erase: () => void redrawn.erase(),
        keep: () => redrawn.keep(),
      };
    }
    case 'plain': {
      const changed = changedTasks(LINE_SECONDS);
      const show = ({ tasks }: ObservedJob) => {
        for (const task of changed(tasks)) process.stderr.write(`${printable(formatTaskLine(task))}\n`);
      };
      return { show, erase: () => {}, keep: () => {} };
    }
    case 'silent':
      return { show: () => {}, erase: () => {}, keep: () => {} };
  }
}

/** Picks the tasks whose line has changed since it was shown: at once if their state has, else so many seconds after the last one. */
export function changedTasks(seconds: number): (tasks: readonly ObservedTask[]) => ObservedTask[] {
  const shown = new Map<number, { readonly state: string; readonly line: string; readonly at: number }>();
  return (tasks) =>
    tasks.filter((task) => {
      const { index, state } = task;
      const line = formatTaskLine(task);
      const before = shown.get(index);
      const at = performance.now();
      const isFirst = before === undefined && state === 'pending';
      const isDue = before?.state !== state || (before.line !== line && at - before.at >= seconds * 1000);
      if (isDue) shown.set(index, { state, line, at });
      return isDue && !isFirst;
    });
}

/**
 * Exit code of a job whose tasks have ended: that of the most important failure. A bug, then a diverged training, then a user's mistake,
 * then what may succeed later, then what the user cancelled.
 */
export function exitCodeOfJob({ tasks }: ObservedJob): number {
  const codes = tasks.map(({ state, exitCode }): number => {
    if (state === 'failed') return exitCode ?? ExitCode.failed;
    if (state === 'given up') return ExitCode.failed;
    if (state === 'unreadable') return ExitCode.userError;
    if (state === 'cancelled') return ExitCode.terminated;
    return state === 'lost' || state === 'stopped' ? ExitCode.tryAgain : ExitCode.success;
  });
  const { bug, diverged, userError, tryAgain, terminated } = ExitCode;
  const order: readonly number[] = [bug, diverged, userError, tryAgain, terminated];
  return order.find((code) => codes.includes(code)) ?? ExitCode.success;
}
