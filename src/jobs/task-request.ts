import { z } from 'zod';
import { writeFileAtomic } from '../support/files.js';
import { readJson } from '../support/json.js';
import { type Job, taskFile } from './job.js';

const schema = z.object({
  what: z.enum(['cancel', 'retry']),
  at: z.iso.datetime(),
  /** Starts that the task had: what they brought no longer counts after a retry. */
  starts: z.int().min(0),
});

/** What the user asked for a task, last: RUNS/jobs/ID/tasks/INDEX.request. Written by commands, never by the worker. */
export type TaskRequest = Readonly<z.output<typeof schema>>;

/** Null if nothing was asked. @throws UserError if the file cannot be read. */
export async function readRequest(job: Pick<Job, 'folder'>, index: number): Promise<TaskRequest | null> {
  return schema.safeParse(await readJson(taskFile(job, index, 'request'))).data ?? null;
}

/** @throws UserError if the folder cannot be written. */
export async function writeRequest(job: Pick<Job, 'folder'>, index: number, request: TaskRequest): Promise<void> {
  await writeFileAtomic(taskFile(job, index, 'request'), `${JSON.stringify(request)}\n`);
}
