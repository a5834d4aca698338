import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../support/errors.js';
import { callSlurm } from './programs.js';
import type { QueueEntry } from './queue.js';

/**
 * How Slurm calls the task of this process: ARRAY_INDEX. Not SLURM_JOB_ID, which for the last task of an array is the id of the whole
 * array: requeueing that starts every task again. Null outside an array.
 */
export function ownTask(environment: NodeJS.ProcessEnv): string | null {
  const { SLURM_ARRAY_JOB_ID: array, SLURM_ARRAY_TASK_ID: index } = environment;
  return array === undefined || index === undefined ? null : `${array}_${index}`;
}

/**
 * What follows the end of a task by a signal of Slurm's: `slurm` has requeued it; the `task` must ask for that; it was `cancelled`; or
 * `nothing`: Slurm ended it for a reason of its own, such as its deadline.
 */
type NextStart = 'slurm' | 'task' | 'cancelled' | 'nothing';

/** States of a task that can be requeued by itself. */
const REQUEUEABLE: readonly string[] = ['RUNNING', 'TIMEOUT', 'PREEMPTED', 'NODE_FAIL'];

/**
 * Why Slurm sent SIGTERM to a task's processes, from its entry in the queue meanwhile. While a task ends, some versions say only COMPLETING:
 * then the number of restarts tells a requeue from a cancellation, and the reason or a time the rest.
 * @param restarts SLURM_RESTART_COUNT of this start.
 */
export function nextStart({ states, reason, restarts: now, isPreempted }: QueueEntry, restarts: number): NextStart {
  if (now > restarts || states.includes('PENDING') || states.includes('REQUEUED')) return 'slurm';
  // The limit came before the task had saved: the warning was late, or saving took long. Or preemption cancels here.
  if (reason === 'TimeLimit' || isPreempted || states.some((state) => REQUEUEABLE.includes(state))) return 'task';
  return states.includes('CANCELLED') || states.every((state) => state === 'COMPLETING') ? 'cancelled' : 'nothing';
}

/**
 * After so many seconds a requeued task may start: Slurm would wait two minutes. It must be later than the end of this process, because
 * Slurm replaces a time that is over when it cleans up after the task.
 */
const START_AFTER_SECONDS = 20;

/** Pauses between attempts, in milliseconds: a controller that restarts is back within some seconds. */
const PAUSES = [1000, 3000, 10_000, 30_000] as const;

/**
 * Asks Slurm to start this process's task again, which ends the process.
 * @throws UserError if Slurm refuses, or does not answer within a minute.
 */
export async function requeueTask(task: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    // The requeue ends all processes of the task, scontrol included: then it has done its work.
    const { outcome, message } = await callSlurm('scontrol', ['requeue', task]);
    if (outcome === 'success' || outcome === 'killed') break;
    const pause = PAUSES[attempt];
    if (pause === undefined || outcome === 'absent') {
      const reason = outcome === 'absent' ? 'scontrol is not on this node' : message;
      throw new UserError(`Slurm did not requeue the task ${task}: ${reason}.`, 'fcn jobs retry starts it again.');
    }
    await sleep(pause);
  }
  await startSoon(task);
}

/**
 * Ends the two minutes that a requeued task would wait: also after a preemption or the failure of a node, for which Slurm requeues by
 * itself. If this fails, the task only starts later.
 */
export async function startSoon(task: string): Promise<void> {
  for (const pause of PAUSES) {
    const update = ['update', `jobid=${task}`, `starttime=now+${START_AFTER_SECONDS}`];
    // The SIGTERM that ends the task's processes may come while this one runs: it comes once.
    if ((await callSlurm('scontrol', update)).outcome !== 'killed') return;
    await sleep(pause);
  }
}
