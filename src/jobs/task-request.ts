import { z } from 'zod';
import { UserError } from '../support/errors.js';
import { writeFileAtomic } from '../support/files.js';
import { type Job, taskFile } from './job.js';
import { readTaskFile } from './task-file.js';

const schema = z.object({
  what: z.enum(['cancel', 'retry']),
  at: z.iso.datetime(),
  /** Starts that the task had: what they brought no longer counts after a retry. */
  starts: z.int().min(0),
});

/** What the user asked for a task, last: RUNS/jobs/ID/tasks/INDEX.request. Written by commands, never by the worker. */
export type TaskRequest = Readonly<z.output<typeof schema>>;

/** Null if nothing was asked. @throws UserError if the file is damaged or cannot be read: it may say that the task was cancelled. */
export async function readRequest(job: Pick<Job, 'folder'>, index: number): Promise<TaskRequest | null> {
  const file = taskFile(job, index, 'request');
  const found = await readTaskFile(file, schema);
  if (found !== 'damaged') return found;
  throw new UserError(`${file} is damaged.`, 'Remove it, then cancel or retry the task again if you had.');
}

/** @throws UserError if the folder cannot be written. */
export async function writeRequest(job: Pick<Job, 'folder'>, index: number, request: TaskRequest): Promise<void> {
  await writeFileAtomic(taskFile(job, index, 'request'), `${JSON.stringify(request)}\n`);
}
