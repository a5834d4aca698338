import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stateOf } from '../../runs/directory.js';
import { inspectLock } from '../../support/lock-file.js';
import { type Executor, type ExecutorContext, onOneMachine } from '../executor.js';
import type { Job } from '../job.js';
import { checkTogether } from './checks.js';
import { localOptionsOf } from './options.js';
import { executeTasks, SCHEDULER_LOCK } from './scheduler.js';

/** Executes tasks side by side on this machine, in the foreground: a process of fcn is the scheduler. */
export const localExecutor: Executor = {
  name: 'local',
  signalsAll: false,
  isForeground: true,

  machineOf: async () => null,
  processesOf: (_, asked) => onOneMachine(asked),
  srunPlugin: async () => null,

  check: checkTogether,

  async describe(job) {
    const { maxParallel, threads } = localOptionsOf(job);
    const count = job.tasks.length;
    const together = Math.min(maxParallel, count);
    return `${count} tasks on this machine, ${together} at a time, ${threads} threads each.`;
  },

  submit: execute,

  async queue(job) {
    const isThere = stateOf('running', await inspectLock(path.join(job.folder, SCHEDULER_LOCK))) === 'running';
    return job.tasks.map(() => ({ state: isThere ? 'pending' : 'absent', reason: null }));
  },

  schedulerIds: async () => [],

  // The scheduler sees the mark, wherever it runs.
  async cancel() {},

  async retry(job, _, context) {
    await execute(job, context);
  },

  async again(job, _, { progressed }, signal) {
    const { pauseSeconds } = localOptionsOf(job);
    if (!progressed) await sleep(pauseSeconds * 1000, undefined, { signal }).catch(() => {});
    return 'here';
  },

  identify: () => ({}),
};

async function execute(job: Job, context: ExecutorContext): Promise<void> {
  await executeTasks(job, localOptionsOf(job), { ...context, executor: localExecutor });
}
