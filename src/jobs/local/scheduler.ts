import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError, UserError } from '../../support/errors.js';
import { Lock } from '../../support/lock.js';
import type { Executor, ExecutorContext } from '../executor.js';
import type { Job } from '../job.js';
import { taskName } from '../names.js';
import { hasEnded, isRequested, type TaskStatus, taskStatuses } from '../states.js';
import { withWayOut } from '../task-file.js';
import { workOn } from '../worker.js';
import type { LocalOptions } from './options.js';

/** Held in the folder of a job by the process that executes its tasks. */
export const SCHEDULER_LOCK = 'lock';

/** Milliseconds between two looks for tasks that the user wants to be started again. */
const LOOK_MILLISECONDS = 1000;

interface SchedulerContext extends ExecutorContext {
  readonly executor: Executor;
}

/**
 * Executes all tasks of a job that have not ended for good, some at a time, until there are none. After a failure, unless the job is to
 * keep going, or an interruption, no further one is started; an interruption stops those that run, too.
 * If another process executes the job already, it takes up what is new, and this one returns at once.
 * @throws UserError if the folder of the job cannot be written.
 */
export async function executeTasks(job: Job, options: LocalOptions, context: SchedulerContext): Promise<void> {
  const file = path.join(job.folder, SCHEDULER_LOCK);
  for (;;) {
    let lock: Lock;
    try {
      lock = await withWayOut(Lock.take(file, false, { signal: context.signal }));
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      context.note(`Another process executes this job and takes them up. ${error.message}`);
      return;
    }
    const scheduler = new Scheduler(job, options, context);
    await lock.during(() => scheduler.run());
    // A request may have come between the last look and the release of the lock.
    if (scheduler.isStopped || !(await scheduler.hasMore())) return;
  }
}

class Scheduler {
  private readonly running = new Map<number, Promise<void>>();
  /** Tasks that this process cannot do. */
  private readonly leftAlone = new Set<number>();
  private readonly failures: unknown[] = [];
  /** What the user had asked for each task when this scheduler began: it says nothing about failures since. */
  private asked: ReadonlyMap<number, string> | null = null;
  private failed = false;

  constructor(
    private readonly job: Job,
    private readonly options: LocalOptions,
    private readonly context: SchedulerContext,
  ) {}

  /** Whether no further task is started. */
  get isStopped(): boolean {
    return this.context.signal.aborted || this.failures.length > 0;
  }

  /** Whether no further task is started but those that the user asks for now. */
  private get isHalted(): boolean {
    return this.failed && !this.options.keepGoing;
  }

  async hasMore(): Promise<boolean> {
    return (await this.startable()).length > 0;
  }

  /** @throws the first error that is no failure of a task, once the other tasks have ended. */
  async run(): Promise<void> {
    for (;;) {
      const startable = this.isStopped ? [] : await this.startable().catch((error: unknown) => this.fail(error));
      const free = this.options.maxParallel - this.running.size;
      for (const index of startable.slice(0, free)) this.start(index);
      if (this.running.size === 0) break;
      const waiting = new AbortController();
      const look = sleep(LOOK_MILLISECONDS, undefined, { signal: waiting.signal }).catch(() => {});
      await Promise.race([...this.running.values(), look]);
      waiting.abort();
    }
    if (this.failures.length > 0) throw this.failures[0];
  }

  /** Ends the scheduler, once the running tasks have ended. */
  private fail(error: unknown): number[] {
    this.failures.push(error);
    return [];
  }

  private async startable(): Promise<number[]> {
    const queue = async () => this.job.tasks.map(() => ({ state: 'pending' as const, reason: null }));
    const statuses = await taskStatuses(this.job, { queue });
    const asked = new Map(statuses.map(({ task, request }) => [task.index, JSON.stringify(request)]));
    this.asked ??= asked;
    const isNew = ({ task: { index } }: TaskStatus) => asked.get(index) !== this.asked?.get(index);
    return statuses
      .filter((status) => !hasEnded(status) && status.state !== 'running')
      .filter((status) => !this.isHalted || (isRequested(status) && isNew(status)))
      .map(({ task }) => task.index)
      .filter((index) => !this.running.has(index) && !this.leftAlone.has(index));
  }

  private start(index: number): void {
    const { executor, signal, note } = this.context;
    const work = workOn(this.job, index, { executor, stop: signal, ownGroup: true, note })
      .then((end) => {
        this.failed ||= end === 'failed' || end === 'given up';
      })
      .catch((error: unknown) => {
        if (error === signal.reason) return;
        if (!(error instanceof UserError)) return void this.fail(error);
        // Of the other tasks none is to be lost because the history of one cannot be written.
        this.leftAlone.add(index);
        this.failed = true;
        note(`${taskName(this.job, index)}: ${error.message}`);
      })
      .finally(() => this.running.delete(index));
    this.running.set(index, work);
  }
}
