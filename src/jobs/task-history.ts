import { z } from 'zod';
import { savedPositionSchema } from '../runs/saved-position.js';
import { UserError } from '../support/errors.js';
import { writeFileAtomic } from '../support/files.js';
import { type Job, taskFile } from './job.js';
import { readTaskFile } from './task-file.js';

const endSchema = z.object({
  at: z.iso.datetime(),
  /** Exit code of the command; null if a signal ended it. */
  code: z.int().nullable(),
  signal: z.string().nullable(),
  /** Whether its run could be resumed from further on than before. */
  progressed: z.boolean(),
  /**
   * Why it was ended from outside: `cancelled` by the user, `stopped` by the executor, which wants to go on later, or a `signal` that
   * reached all processes of the task, as Slurm's do, or `lost`: its worker was killed. Null if it ended by itself.
   */
  because: z.enum(['cancelled', 'stopped', 'signal', 'lost']).nullable(),
  /** What follows; see `TaskEnd`. */
  verdict: z.enum(['completed', 'failed', 'again', 'given up', 'cancelled']),
  /** The last error that the command wrote; null if there is none. */
  message: z.string().nullable(),
});

const startSchema = z.object({
  at: z.iso.datetime(),
  /** The worker. */
  host: z.string(),
  processId: z.int(),
  /** How the scheduler calls this start, such as `{"job": "12_3", "restarts": "1"}`; empty without one. */
  scheduler: z.record(z.string(), z.string()),
  /** The run directory, absolute; null until the command has one. */
  run: z.string().nullable(),
  before: savedPositionSchema,
  /** Null while it runs, and for ever if the worker was killed. */
  end: endSchema.nullable(),
});
/** One start of a task's command. */
export type TaskStart = Readonly<z.output<typeof startSchema>>;
export type StartEnd = Readonly<z.output<typeof endSchema>>;

const historySchema = z.object({ starts: z.array(startSchema) });

/** All starts of a task, oldest first. Only the task's worker, which holds the task's lock, writes it. */
export type TaskHistory = Readonly<z.output<typeof historySchema>>;

/** A start without progress counts against the task; so many in a row end it. */
export const MOST_WITHOUT_PROGRESS = 3;

/**
 * What follows the end of a start. `completed`; `failed`: the same command would fail again (codes 1, 2 and 3); `again`: it ended early
 * and can be resumed; `given up`: that, but the last three starts brought no progress; `cancelled`: the user does not want it any more.
 */
export type TaskEnd = StartEnd['verdict'];

/** The history of a task: RUNS/jobs/ID/tasks/INDEX.json. Empty before the first start. @throws UserError if it is damaged. */
export async function readHistory(job: Pick<Job, 'folder'>, index: number): Promise<TaskHistory> {
  const file = taskFile(job, index, 'json');
  const found = await readTaskFile(file, historySchema);
  if (found !== 'damaged') return found ?? { starts: [] };
  throw new UserError(
    `${file} is damaged.`,
    'Remove it: the task then counts as never started, and resumes its run all the same.',
  );
}

/** @throws UserError if the disk is full or the folder cannot be written. */
export async function writeHistory(job: Pick<Job, 'folder'>, index: number, history: TaskHistory): Promise<void> {
  await writeFileAtomic(taskFile(job, index, 'json'), `${JSON.stringify(history, null, 2)}\n`);
}

/** Starts at the end of a history, in a row, that brought no progress. @param since Counts only from this start on. */
export function startsWithoutProgress({ starts }: TaskHistory, since: number): number {
  const counted = starts.slice(since);
  const last = counted.findLastIndex(({ end }) => end?.progressed === true);
  return counted.length - 1 - last;
}

/** The run directory of a task, absolute: that of its newest start that had one; null if there is none. */
export function runOf({ starts }: TaskHistory): string | null {
  return starts.findLast(({ run }) => run !== null)?.run ?? null;
}
