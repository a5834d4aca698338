import { PROGRESS_HEADS, progressCells, progressWords } from '../runs/list.js';
import { formatNumber, shellWords, withoutControls } from '../support/format.js';
import { breakCommand, entryLines, labelled, labelledPath, wrap } from '../terminal/layout.js';
import type { JobSummary, ObservedJob, ObservedTask } from './observe.js';
import { reasonInWords } from './slurm/reasons.js';
import { hasEnded, TASK_STATES, type TaskState } from './states.js';

const HEADS = ['Task', 'State', 'Starts', ...PROGRESS_HEADS];

/** The tasks of a job, a line each; in a narrow terminal, two. The columns after the first three are those of `fcn runs list`. */
function formatTasks(tasks: readonly ObservedTask[], width: number): string {
  const entries = tasks.map(({ name, state, starts, run }) => {
    // The progress of a completed task would be that of its last stage alone.
    const shown = run === null || state !== 'completed' ? run : { ...run, done: null };
    // A scheduler may have started one whose worker has not said so yet.
    const counted = state === 'running' ? Math.max(starts, 1) : starts;
    return { name: withoutControls(name), lines: [[state, String(counted), ...progressCells(shown)]] };
  });
  return entryLines(HEADS, entries, { words: 1, width }).lines.join('\n');
}

/** What is shown first if there is not room for all tasks. */
const IMPORTANCE: readonly TaskState[] = [
  'running',
  'failed',
  'given up',
  'unreadable',
  'lost',
  'waiting',
  'stopped',
  'pending',
];

/** The tasks and a summary in at most `height` lines, as far as possible: those that matter most, in their order. */
export function fitTasks(tasks: readonly ObservedTask[], width: number, height: number): string {
  const rank = ({ state }: ObservedTask) => IMPORTANCE.indexOf(state) + (IMPORTANCE.includes(state) ? 0 : 100);
  const ranked = [...tasks].sort((a, b) => rank(a) - rank(b));
  for (let count = tasks.length; ; count--) {
    const shown = new Set(ranked.slice(0, count));
    const table = formatTasks(
      tasks.filter((task) => shown.has(task)),
      width,
    );
    const more = count < tasks.length ? `${formatNumber(tasks.length - count, 'more task')} not shown. ` : '';
    const text = `${table}\n${more}${summary(tasks)}`;
    if (count <= 1 || text.split('\n').length <= height) return text;
  }
}

/** "5 tasks: 3 completed, 1 running, 1 pending." */
export function summary(tasks: readonly Pick<ObservedTask, 'state'>[]): string {
  return `${formatNumber(tasks.length, 'task')}: ${counts(tasks)}.`;
}

/** What is done, what goes on, and what needs the user. */
const COUNTED: readonly TaskState[] = ['completed', 'running', 'waiting', 'pending'];

function counts(tasks: readonly Pick<ObservedTask, 'state'>[]): string {
  return [...new Set([...COUNTED, ...TASK_STATES])]
    .map((state) => ({ state, count: tasks.filter((task) => task.state === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state}`)
    .join(', ');
}

/** A task in one line, for `fcn jobs watch` and while a job runs. */
export function formatTaskLine(task: ObservedTask): string {
  const { name, state, run } = task;
  const progress = run === null || hasEnded(task) ? [] : progressWords(run);
  const why = whyOf(task);
  return [`${withoutControls(name)}: ${state}`, ...progress, ...(why === null ? [] : [withoutControls(why)])].join(
    ', ',
  );
}

/** Why a task is in its state; null if there is nothing to say. */
function whyOf({ state, reason, message, exitCode, signal, starts, run }: ObservedTask): string | null {
  if (state === 'completed') return run === null && starts > 0 ? 'its run directory was removed' : null;
  if (state === 'unreadable') return message;
  if (state === 'pending' || state === 'waiting') return reason === null ? null : reasonInWords(reason);
  if (state === 'lost')
    return 'its worker was killed: for lack of memory, or with its machine; a retry resumes the run';
  if (state !== 'failed' && state !== 'given up') return null;
  if (signal !== null) return `ended by ${signal}${signal === 'SIGKILL' ? ', perhaps for lack of memory' : ''}`;
  const code = exitCode === null ? '' : `exit code ${exitCode}`;
  return message === null ? code : `${code}: ${message}`;
}

/** Why tasks are in their states, a line each; of those that wait for the same, a line for all. */
function reasonsOf(tasks: readonly ObservedTask[]): string[] {
  const together = new Map<string, ObservedTask[]>();
  for (const task of tasks) {
    const why = whyOf(task);
    if (why === null) continue;
    const waits = task.state === 'pending' || task.state === 'waiting';
    const key = `${waits ? '' : task.index} (${task.state}): ${why}`;
    together.set(key, [...(together.get(key) ?? []), task]);
  }
  return [...together.values()].map((those) => {
    const [{ name, state }] = those as [ObservedTask];
    const who = those.length === 1 ? name : formatNumber(those.length, 'task');
    return `${who} (${state}): ${whyOf(those[0]!)}`;
  });
}

/** A job: its command, the table of its tasks, why some wait or failed, and what may be done. */
export function formatJob(job: ObservedJob, width: number): string {
  const { id, tasks, executor, schedulerIds, submittedAt, command } = job;
  const reasons = reasonsOf(tasks).flatMap((line) => wrap(withoutControls(line), width));
  return [
    `Job ${id}, ${executor} executor, submitted ${timeOf(submittedAt)} UTC`,
    ...(schedulerIds.length === 0 ? [] : labelled('arrays   ', schedulerIds.join(', '), width)),
    ...labelledPath('folder   ', withoutControls(job.folder), width),
    ...breakCommand(withoutControls(shellWords(['fcn', ...command])), width),
    '',
    formatTasks(tasks, width),
    '',
    ...(reasons.length > 0 ? [...reasons, ''] : []),
    summary(tasks),
  ].join('\n');
}

/** "2026-11-30 03:50", to the minute. */
const timeOf = (submittedAt: string) => submittedAt.slice(0, 16).replace('T', ' ');

/** Jobs, a line each. */
export function formatJobs(jobs: readonly JobSummary[], width: number): string {
  const entries = jobs.map(({ id, executor, submittedAt, tasks }) => {
    return { name: id, lines: [[executor, timeOf(submittedAt), String(tasks.length), counts(tasks)]] };
  });
  const heads = ['Job', 'Executor', 'Submitted (UTC)', 'Tasks', 'States'];
  return entryLines(heads, entries, { words: 4, width }).lines.join('\n');
}
