import type { ExecutionContext } from 'ava';
import { createJob, type Job, type JobDescription } from '../../src/jobs/job.js';
import type { ObservedJob, ObservedTask } from '../../src/jobs/observe.js';
import { temporaryFolder } from './folder.js';

/** A job of these rows and seeds in a folder of its own, for the local executor; nothing executes it. */
export async function jobOf(
  t: ExecutionContext,
  tasks: readonly (readonly [row: string, seed: number])[],
  changes: Partial<JobDescription> = {},
): Promise<Job> {
  return createJob(await temporaryFolder(t), describedJob(tasks, changes));
}

export function describedJob(
  tasks: readonly (readonly [row: string, seed: number])[],
  changes: Partial<JobDescription> = {},
): JobDescription {
  return {
    format: 1,
    submittedAt: '2025-01-02T03:04:05.678Z',
    executor: 'local',
    command: ['reproduce'],
    workingFolder: '/',
    options: { maxParallel: 1, threads: 1, keepGoing: false, pauseSeconds: 0 },
    environment: {},
    tasks: tasks.map(([row, seed], index) => ({
      index,
      row,
      seed,
      recipe: '',
      arguments: ['reproduce', row],
      begin: 'resume',
    })),
    ...changes,
  };
}

/** A task as `fcn jobs` sees it. */
export function observedTask(changes: Partial<ObservedTask> = {}): ObservedTask {
  return {
    ...{ index: 0, name: 'tiny', row: 'tiny', seed: 0, state: 'pending', reason: null, starts: 0, exitCode: null },
    ...{
      signal: null,
      message: null,
      host: null,
      processId: null,
      scheduler: {},
      log: '/jobs/1/logs/0.log',
      run: null,
    },
    ...changes,
  };
}

/** The job of such a task. */
export const observedJob: ObservedJob = {
  ...{ id: '1', folder: '/jobs/1', submittedAt: '2025-01-02T03:04:05.678Z', executor: 'local' },
  ...{ command: ['reproduce'], schedulerIds: [], tasks: [observedTask()] },
};
