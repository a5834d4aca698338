import { z } from 'zod';

/** What a job of the local executor was asked for; see `JobDescription.options`. */
export const localOptionsSchema = z.strictObject({
  /** Tasks that run at a time, at most. */
  maxParallel: z.int().min(1),
  /** Threads of each task: part of the job, because one and two threads give other last bits. */
  threads: z.int().min(1),
  /** Start further tasks after one has failed. */
  keepGoing: z.boolean(),
  /** Seconds before a task is started again that made no progress: another process may have its run. */
  pauseSeconds: z.number().min(0),
});
export type LocalOptions = Readonly<z.output<typeof localOptionsSchema>>;

/** Pause before another start without progress, unless a job says otherwise. */
export const PAUSE_SECONDS = 30;
