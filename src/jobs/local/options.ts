import { z } from 'zod';
import { UserError } from '../../support/errors.js';
import { check, formatFinding } from '../../support/yaml.js';
import type { JobDescription } from '../job.js';

/** What a job of the local executor was asked for; see `JobDescription.options`. */
const schema = z.strictObject({
  /** Tasks that run at a time, at most. */
  maxParallel: z.int().min(1),
  /** Threads of each task: part of the job, because one and two threads give other last bits. */
  threads: z.int().min(1),
  /** Start further tasks after one has failed. */
  keepGoing: z.boolean(),
  /** Seconds before a task is started again that made no progress: another process may have its run. */
  pauseSeconds: z.number().min(0),
});
export type LocalOptions = Readonly<z.output<typeof schema>>;

/** Pause before another start without progress, unless a job says otherwise. */
export const PAUSE_SECONDS = 30;

/** The options of a local job. @throws UserError if job.json has others. */
export function localOptionsOf({ options }: Pick<JobDescription, 'options'>): LocalOptions {
  const checked = check(schema, options);
  if ('value' in checked) return checked.value;
  throw new UserError(`The options of the job are not those of a local one: ${formatFinding(checked.finding)}`);
}
