import path from 'node:path';
import { JOBS_FOLDER } from '../runs/run-reader.js';
import { UserError } from '../support/errors.js';
import type { Executor } from './executor.js';
import { type ExecutorName, type Job, type JobDescription, jobIds, readJob } from './job.js';
import { isRetried, taskStatuses } from './states.js';

/** Most jobs that are looked at, the newest first: a repeated command is seldom an old one. */
const MOST_JOBS = 20;

/** What tells whether jobs do the same: which runs, whatever the order and the executor. */
const workOf = ({ tasks }: Pick<JobDescription, 'tasks'>) =>
  tasks
    .map(({ row, seed, recipe }) => JSON.stringify([row, seed, recipe]))
    .sort()
    .join('\n');

/**
 * The newest earlier job with the same tasks if a retry would resume some of them; null if there is none, or the new one is to begin new
 * runs. A job that cannot be read is no reason to refuse another one.
 * @param runs Folder of the run directories.
 */
export async function resumableTwin(
  runs: string,
  description: Pick<JobDescription, 'tasks'>,
  executorOf: (name: ExecutorName) => Pick<Executor, 'queue'>,
): Promise<Job | null> {
  if (description.tasks.some(({ begin }) => begin === 'fresh')) return null;
  const work = workOf(description);
  for (const id of (await jobIds(runs)).slice(-MOST_JOBS).reverse()) {
    try {
      const job = await readJob(path.join(runs, JOBS_FOLDER, id));
      if (workOf(job) !== work) continue;
      const statuses = await taskStatuses(job, executorOf(job.executor));
      return statuses.some(isRetried) ? job : null;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }
  return null;
}
