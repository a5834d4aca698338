import { existsSync } from 'node:fs';
import path from 'node:path';
import { JOBS_FOLDER } from '../runs/run-reader.js';
import { UserError } from '../support/errors.js';
import { shellWords } from '../support/format.js';
import { alternatives, nearestAll, wildcardExpression } from '../support/suggest.js';
import { JOB_FILE, type Job, jobIds, readJob, type Task } from './job.js';

class UnknownJob extends UserError {
  override readonly name = 'UnknownJob';
}

/** Most names in a message. */
const MOST_LISTED = 5;

const list = (names: readonly string[]) =>
  [...names.slice(0, MOST_LISTED), ...(names.length > MOST_LISTED ? ['…'] : [])].join(', ');

/**
 * The job that a reference means: by its folder, its id, or a unique beginning of it; without reference, the newest.
 * @param runs Folder of the run directories.
 * @throws UserError if it means none, or several.
 */
export async function findJob(runs: string, reference: string | undefined): Promise<Job> {
  const parent = path.join(runs, JOBS_FOLDER);
  const ids = await jobIds(runs);
  if (reference === undefined) {
    const newest = ids.at(-1);
    if (newest !== undefined) return readJob(path.join(parent, newest));
    throw new UserError(
      `There are no jobs in ${parent}.`,
      'Submit one: fcn reproduce ROW --executor local; or give their folder with --runs.',
    );
  }
  if (reference === '') throw new UserError('The name of a job is empty.', 'See fcn jobs list.');
  if (ids.includes(reference)) return readJob(path.join(parent, reference));
  const folder = path.basename(reference) === JOB_FILE ? path.dirname(reference) : reference;
  if (existsSync(path.join(folder, JOB_FILE))) return readJob(folder);
  const found = ids.filter((id) => id.startsWith(reference));
  if (found.length === 1) return readJob(path.join(parent, found[0]!));
  if (found.length > 1) {
    throw new UserError(`"${reference}" could be ${found.length} jobs: ${list(found)}.`, 'Give more of the name.');
  }
  const meant = nearestAll(reference, ids);
  throw new UnknownJob(
    `No job is called ${reference} in ${parent}.`,
    meant.length > 0 ? `Did you mean ${alternatives(meant)}?` : 'See fcn jobs list.',
  );
}

/** Arguments of a command that names a job and tasks of it. */
interface TaskArguments {
  readonly job: string | undefined;
  readonly tasks: string | undefined;
}

/**
 * The tasks that arguments mean, and their job. A command that takes the newest job by itself also takes a name of tasks alone, if no job
 * is called so; fcn jobs cancel says how to name both.
 * @returns tasks: null if none are named.
 * @throws as `findJob` and `tasksNamed`.
 */
export async function findTasks(
  runs: string,
  { job: reference, tasks: name }: TaskArguments,
  command: 'logs' | 'retry' | 'cancel',
): Promise<{ readonly job: Job; readonly tasks: Task[] | null }> {
  try {
    const job = await findJob(runs, reference);
    return { job, tasks: name === undefined ? null : tasksNamed(job, name) };
  } catch (error) {
    if (!(error instanceof UnknownJob) || reference === undefined || name !== undefined) throw error;
    const newest = await newestWith(runs, reference);
    if (newest === null) throw error;
    if (command !== 'cancel') return newest;
    throw new UserError(
      `"${reference}" is no job, but a task of the newest job, ${newest.job.id}.`,
      shellWords(['fcn', 'jobs', command, newest.job.id, reference]),
      { cause: error },
    );
  }
}

/** The newest job with its tasks of a name; null if it has none, or there is no job. */
async function newestWith(runs: string, name: string): Promise<{ readonly job: Job; readonly tasks: Task[] } | null> {
  if ((await jobIds(runs)).length === 0) return null;
  const job = await findJob(runs, undefined);
  try {
    return { job, tasks: tasksNamed(job, name) };
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

/** The name of a task: its row; with its seed, ROW:SEED, if the job has several tasks of the row. */
export function taskName({ tasks }: Pick<Job, 'tasks'>, index: number): string {
  const { row, seed } = tasks[index]!;
  return tasks.filter((task) => task.row === row).length > 1 ? `${row}:${seed}` : row;
}

/**
 * The tasks that a name means: all of a row or, by :SEED, of a seed, or one by ROW:SEED or its index; all that match a pattern of these;
 * or else one by a unique beginning.
 * @throws UserError if it means none, or several begin with it.
 */
export function tasksNamed(job: Pick<Job, 'id' | 'tasks'>, name: string): Task[] {
  if (name === '') throw new UserError('The name of a task is empty.', `See fcn jobs show ${job.id}.`);
  const tasksWhere = (matches: (one: string) => boolean) =>
    job.tasks.filter(({ row, seed }) => [row, `${row}:${seed}`].some(matches));
  const expression = /[*?{]/.test(name) ? wildcardExpression(name) : null;
  const called = name.startsWith(':')
    ? job.tasks.filter(({ seed }) => `:${seed}` === name)
    : tasksWhere((one) => (expression === null ? one === name : expression.test(one)));
  if (called.length > 0) return called;
  const indexed = job.tasks.filter(({ index }) => String(index) === name);
  if (indexed.length > 0) return indexed;
  const found = tasksWhere((one) => one.startsWith(name));
  const rows = [...new Set(found.map(({ row }) => row))];
  if (rows.length === 1) return found;
  if (rows.length > 1) {
    throw new UserError(
      `"${name}" could be ${rows.length} rows: ${list(rows)}.`,
      'Give more of the name, or a pattern.',
    );
  }
  const meant = nearestAll(name, new Set(job.tasks.map(({ row }) => row)));
  throw new UserError(
    `Job ${job.id} has no task ${name}.`,
    meant.length > 0 ? `Did you mean ${alternatives(meant)}?` : `See fcn jobs show ${job.id}.`,
  );
}
