import { existsSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { JOBS_FOLDER } from '../runs/run-reader.js';
import { UserError } from '../support/errors.js';
import { explainFileError, foldersIn, makeFolder, readTextIfPresent, writeFileAtomic } from '../support/files.js';
import { shellWords } from '../support/format.js';
import { check, formatFinding } from '../support/yaml.js';

/** What may execute the tasks of a job. */
const EXECUTOR_NAMES = ['local', 'slurm', 'kubernetes'] as const;
export type ExecutorName = (typeof EXECUTOR_NAMES)[number];

const taskSchema = z.strictObject({
  /** Counts from 0: the place in the job's list, and the index in a scheduler's array. */
  index: z.int().min(0),
  row: z.string(),
  seed: z.int().min(0),
  /** Hash of the recipe as it was when the job was submitted (`hashExperiment`). */
  recipe: z.string(),
  /**
   * Arguments of `fcn` that do the task, without those that say which run to resume. Paths are absolute and every choice is spelled
   * out, so that neither the working folder nor the environment matters.
   */
  arguments: z.array(z.string()),
  /** `fresh`: the task starts a new run and from then on resumes that; `resume`: the newest run of the recipe. */
  begin: z.enum(['resume', 'fresh']),
});
/** One run of a job: a row with a seed. */
export type Task = Readonly<z.output<typeof taskSchema>>;

const jobSchema = z.strictObject({
  format: z.literal(1),
  submittedAt: z.iso.datetime(),
  executor: z.enum(EXECUTOR_NAMES),
  /** The words of the command, as typed, after `fcn`. */
  command: z.array(z.string()),
  /** The working folder of the command. */
  workingFolder: z.string(),
  /** What the executor was asked for. Each executor has a schema of its own. */
  options: z.record(z.string(), z.unknown()),
  /**
   * Environment of the tasks besides that of their worker, such as the number of threads. A variable FCN_… that is not named here is
   * removed.
   */
  environment: z.record(z.string(), z.string()),
  tasks: z
    .array(taskSchema)
    .min(1)
    .superRefine((tasks, context) => {
      for (const [place, { index }] of tasks.entries()) {
        if (index === place) continue;
        const message = `expected ${place}: the tasks are numbered from 0, in order`;
        context.addIssue({ code: 'custom', path: [place, 'index'], message });
      }
    }),
});
/** What job.json says. */
export type JobDescription = Readonly<z.output<typeof jobSchema>>;

/** A job in its folder. */
export interface Job extends JobDescription {
  /** Name of the folder: time of the submission (UTC), and a number if several were submitted in the same second. */
  readonly id: string;
  /** RUNS/jobs/ID, absolute. */
  readonly folder: string;
  /** The folder of the run directories, absolute. */
  readonly runs: string;
}

/** File of a job's description, in its folder. */
export const JOB_FILE = 'job.json';

/** More jobs than anybody submits in a second. */
const MOST_IN_A_SECOND = 1000;

/**
 * Makes the folder of a job, with its description. Of two that are submitted at once, each gets a folder of its own.
 * @param runs Folder of the run directories.
 * @throws UserError if the folder cannot be written.
 */
export async function createJob(runs: string, description: JobDescription): Promise<Job> {
  const parent = path.join(path.resolve(runs), JOBS_FOLDER);
  const first = description.submittedAt.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  await makeFolder(parent);
  for (let attempt = 1; ; attempt++) {
    const id = attempt === 1 ? first : `${first}-${attempt}`;
    const folder = path.join(parent, id);
    try {
      await mkdir(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' && attempt < MOST_IN_A_SECOND) continue;
      throw explainFileError(error, folder, 'write');
    }
    try {
      await makeFolder(path.join(folder, 'logs'));
      await makeFolder(path.join(folder, 'tasks'));
      // Last: a folder without this file is no job yet.
      await writeFileAtomic(path.join(folder, JOB_FILE), `${JSON.stringify(description, null, 2)}\n`);
    } catch (error) {
      // The user needs the first error.
      await rm(folder, { recursive: true, force: true }).catch(() => {});
      throw error;
    }
    return { ...description, id, folder, runs: path.dirname(parent) };
  }
}

/** @param folder RUNS/jobs/ID. @throws UserError that names the file if it is missing or damaged. */
export async function readJob(folder: string): Promise<Job> {
  const absolute = path.resolve(folder);
  const file = path.join(absolute, JOB_FILE);
  const text = await readTextIfPresent(file);
  if (text === null) throw new UserError(`${absolute} is no job: it has no ${JOB_FILE}.`, 'See fcn jobs list.');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UserError(`${file} is not JSON: ${error.message}.`, 'Restore the file, or submit the job again.', {
      cause: error,
    });
  }
  const checked = check(jobSchema, value);
  if (!('value' in checked)) {
    throw new UserError(
      `${file}: ${formatFinding(checked.finding)}`,
      'Restore the file, or submit the job again: its tasks resume their runs.',
    );
  }
  return {
    ...checked.value,
    id: path.basename(absolute),
    folder: absolute,
    runs: path.dirname(path.dirname(absolute)),
  };
}

/** The value of a flag that all tasks have as `--NAME=VALUE`, such as a folder; null if they have it not. */
export function flagOfTasks({ tasks }: Pick<JobDescription, 'tasks'>, name: string): string | null {
  const start = `--${name}=`;
  return tasks[0]!.arguments.find((word) => word.startsWith(start))?.slice(start.length) ?? null;
}

/**
 * A job whose folder was moved has tasks that would look for their runs in the old place, and begin them anew there.
 * @throws UserError if it does not lie in the folder of run directories that its tasks name.
 */
export async function requireInPlace(job: Pick<Job, 'id' | 'runs' | 'tasks'>): Promise<void> {
  const named = flagOfTasks(job, 'runs');
  if (named === null || path.resolve(named) === job.runs) return;
  const identityOf = (folder: string) =>
    stat(folder, { bigint: true }).then(
      ({ dev, ino }) => `${dev} ${ino}`,
      () => null,
    );
  // Through a link, or mounted twice.
  if ((await identityOf(named)) === (await identityOf(job.runs))) return;
  throw new UserError(
    `Job ${job.id} was submitted with --runs ${named}, but lies in ${job.runs} now: its tasks would begin anew in the old folder.`,
    `Move the folder back, or make the old path a link: ${shellWords(['ln', '-s', job.runs, named])}`,
  );
}

/** The ids of the jobs below a folder of run directories, oldest first. */
export async function jobIds(runs: string): Promise<string[]> {
  const parent = path.join(runs, JOBS_FOLDER);
  const found = (await foldersIn(parent)).filter((id) => existsSync(path.join(parent, id, JOB_FILE)));
  return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/** The output of a task's starts, one after the other: RUNS/jobs/ID/logs/INDEX.log. */
export function logFile({ folder }: Pick<Job, 'folder'>, index: number): string {
  return path.join(folder, 'logs', `${index}.log`);
}

/** A file about a task: RUNS/jobs/ID/tasks/INDEX.WHAT. */
export function taskFile({ folder }: Pick<Job, 'folder'>, index: number, what: string): string {
  return path.join(folder, 'tasks', `${index}.${what}`);
}
