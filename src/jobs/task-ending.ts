import path from 'node:path';
import { shellWords } from '../support/format.js';
import type { Job } from './job.js';
import { taskName } from './names.js';
import type { StartEnd } from './task-history.js';

/** The command that starts tasks again. @param tasks Name or pattern. @param folder Where it will be typed. */
export function retryCommand({ id, runs }: Pick<Job, 'id' | 'runs'>, tasks: string, folder: string): string {
  const where = runs === path.resolve(folder, 'runs') ? [] : ['--runs', runs];
  return shellWords(['fcn', 'jobs', 'retry', id, tasks, ...where]);
}

/** Why a start ended early, and what follows, as far as the worker knows: on Slurm it ends before it could hear the answer. */
function earlyEnd({ executor }: Pick<Job, 'executor'>, { because, signal, code }: StartEnd): string {
  const own = signal === null ? `exit code ${code}` : `killed by ${signal}`;
  if (executor === 'slurm') {
    if (because === 'stopped') return 'Its time limit is near: Slurm starts it again, and it resumes its run.';
    if (because === 'signal') {
      return 'Slurm ended it (preemption, requeue or scancel): it starts again, unless it was cancelled.';
    }
    return `Ended early (${own}): Slurm starts it again, and it resumes its run.`;
  }
  if (because === 'stopped') return 'Stopped with its job. To resume it:';
  return `Ended early (${own}): it starts again here, and resumes its run.`;
}

/** What stands in the log of a task below the output of a start: how it ended, and whether it starts again or what the user may do. */
export function endingText(job: Job, index: number, end: StartEnd): string {
  const retry = retryCommand(job, taskName(job, index), job.workingFolder);
  switch (end.verdict) {
    case 'completed':
      return `== Completed, ${end.at}`;
    case 'failed':
      return `== Failed with exit code ${end.code}, ${end.at}. Fix the cause, then:\n   ${retry}`;
    case 'given up':
      return `== Given up after several starts without progress, ${end.at}. To try again:\n   ${retry}`;
    case 'cancelled':
      return `== Cancelled, ${end.at}. To resume it:\n   ${retry}`;
    case 'again': {
      const text = earlyEnd(job, end);
      return `== ${text}${text.endsWith(':') ? `\n   ${retry}` : ''}`;
    }
  }
}
