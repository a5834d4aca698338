import path from 'node:path';
import { JOBS_FOLDER } from '../runs/run-reader.js';
import { UserError } from '../support/errors.js';
import { isFolder } from '../support/files.js';
import { jobIds, readJob } from './job.js';
import { readHistory, runOf } from './task-history.js';

/**
 * References to runs, with the id of a job replaced by the run directories of its tasks.
 * @param runs Folder of the run directories.
 * @throws UserError if no task of a job has a run directory.
 */
export async function withRunsOfJobs(runs: string, references: readonly string[]): Promise<string[]> {
  const ids = new Set(await jobIds(runs));
  const found: string[] = [];
  for (const reference of references) {
    if (ids.has(reference)) found.push(...(await runsOfJob(path.join(runs, JOBS_FOLDER, reference))));
    else found.push(reference);
  }
  return found;
}

async function runsOfJob(folder: string): Promise<string[]> {
  const job = await readJob(folder);
  const found: string[] = [];
  for (const { index } of job.tasks) {
    const run = runOf(await readHistory(job, index));
    if (run !== null && (await isFolder(run))) found.push(run);
  }
  if (found.length > 0) return found;
  throw new UserError(`No task of job ${job.id} has a run directory.`, `See fcn jobs show ${job.id}.`);
}
