import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { parentPort, Worker } from 'node:worker_threads';
import { UserError } from '../../support/errors.js';

interface Job<Task, Result> {
  readonly task: Task;
  /** Buffers in the task that are handed over instead of copied. */
  readonly transfer: readonly ArrayBuffer[];
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

interface Thread<Task, Result> {
  readonly worker: Worker;
  /** Sent to the worker and not yet answered, in order. */
  readonly jobs: Job<Task, Result>[];
}

/**
 * Tasks sent to a worker at a time. While a native engine computes, the main thread answers nobody; the second task keeps
 * the worker busy meanwhile.
 */
const TASKS_A_WORKER = 2;

/**
 * Room for young objects of a worker, in MB. Pixels lie outside of it; by default each worker's would grow to 48 MB over some
 * hundred tasks.
 */
const YOUNG_OBJECTS_MB = 4;

function toError(answer: Exclude<Answer<unknown>, { kind: 'result' }>): Error {
  if (answer.kind === 'problem') return new UserError(answer.message, answer.next);
  const error = new Error(answer.message);
  if (answer.stack !== undefined) error.stack = answer.stack;
  return error;
}

/** A fixed number of worker threads that work tasks off in order. Idle threads do not keep the process alive. */
export class WorkerPool<Task, Result> {
  private readonly threads: Thread<Task, Result>[] = [];
  private readonly waiting: Job<Task, Result>[] = [];
  /** Why no task is taken any more. */
  private ended: Error | null = null;

  private constructor() {}

  /** Starts the threads. `module` calls `serve`; `workerData` is what it finds under that name. */
  static async start<Task, Result>(module: URL, size: number, workerData: unknown): Promise<WorkerPool<Task, Result>> {
    // sharp's libraries must have been loaded by the main thread, or they are unloaded with the first worker that ends.
    await import('sharp');
    const pool = new WorkerPool<Task, Result>();
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_OBJECTS_MB };
    for (let i = 0; i < size; i++) pool.addThread(new Worker(module, { workerData, resourceLimits }));
    return pool;
  }

  /** Rejects with the UserError that the worker threw, or with another error where a thread or the pool has ended. */
  run(task: Task, transfer: readonly ArrayBuffer[] = []): Promise<Result> {
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      this.waiting.push({ task, transfer, resolve, reject });
      this.dispatch();
    });
  }

  /**
   * Runs tasks, at most `ahead` begun before the first is done, so that an end comes soon after an abort or a failure.
   * `onResult` gets the results in the order in which they are done.
   * @throws What a task failed with, or the signal's reason.
   */
  async runAll(
    tasks: Iterable<Task>,
    ahead: number,
    { signal, onResult }: { signal?: AbortSignal | undefined; onResult?: (result: Result, task: Task) => void } = {},
  ): Promise<void> {
    const queue = tasks[Symbol.iterator]();
    const work = async (): Promise<void> => {
      for (let step = queue.next(); !step.done; step = queue.next()) {
        signal?.throwIfAborted();
        onResult?.(await this.run(step.value), step.value);
      }
    };
    await Promise.all(Array.from({ length: ahead }, work));
  }

  /** Ends the threads at once and rejects what is not done; resolves when no thread is left. */
  async close(): Promise<void> {
    this.end(new Error('The workers were closed.'));
    await Promise.all(this.threads.splice(0).map(({ worker }) => worker.terminate()));
  }

  private end(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.splice(0)) reject(error);
    for (const { jobs } of this.threads) for (const { reject } of jobs.splice(0)) reject(error);
  }

  private addThread(worker: Worker): void {
    const jobs: Job<Task, Result>[] = [];
    this.threads.push({ worker, jobs });
    worker.unref();
    worker.on('message', (answer: Answer<Result>) => {
      const job = jobs.shift();
      if (!job) return;
      if (answer.kind === 'result') job.resolve(answer.result);
      else job.reject(toError(answer));
      this.dispatch();
      if (jobs.length === 0) worker.unref();
    });
    // A worker answers even when its task fails; one that ends by itself is broken, and its place is not filled again.
    worker.on('error', (error) => this.end(error));
    void once(worker, 'exit').then(
      () => this.end(new Error('A worker thread ended unexpectedly.')),
      () => {},
    );
  }

  private dispatch(): void {
    for (let depth = 1; depth <= TASKS_A_WORKER; depth++) {
      for (const { worker, jobs } of this.threads) {
        if (jobs.length >= depth) continue;
        const job = this.waiting.shift();
        if (!job) return;
        jobs.push(job);
        worker.ref();
        worker.postMessage(job.task, job.transfer);
      }
    }
  }
}

/** Memory that finished and unfinished results ahead of the reader may take; at least one result is always made ahead. */
const BYTES_AHEAD = 384 * 2 ** 20;

/** One core is left to the main thread; a few workers keep up with any engine. */
export function defaultWorkers(): number {
  return Math.min(Math.max(availableParallelism() - 1, 1), 8);
}

/** How many results of a size are made ahead: one more than there are workers, as far as memory allows. */
export function resultsAhead(workers: number, bytes: number): number {
  return Math.max(1, Math.min(workers + 1, Math.floor(BYTES_AHEAD / bytes)));
}

/**
 * Results 0, 1, 2, … of `produce`, in order, of which never more than `ahead` are begun before they are read.
 * After a failure every further read fails in the same way.
 */
export class Prefetch<Result> {
  private readonly begun: Promise<Result>[] = [];
  private nextIndex = 0;
  private failure: { readonly error: unknown } | null = null;

  constructor(
    private readonly produce: (index: number) => Promise<Result>,
    private readonly ahead: number,
    /** Results there are; reading on beyond them is an error. */
    private readonly count = Number.POSITIVE_INFINITY,
  ) {
    this.fill();
  }

  async next(): Promise<Result> {
    if (this.failure) throw this.failure.error;
    const first = this.begun.shift();
    if (!first) throw new RangeError(`There are only ${this.count} results.`);
    try {
      const result = await first;
      this.fill();
      return result;
    } catch (error) {
      this.failure = { error };
      throw error;
    }
  }

  private fill(): void {
    while (this.begun.length < this.ahead && this.nextIndex < this.count) {
      const result = this.produce(this.nextIndex++);
      // It is reported when it is read, which may be never.
      result.catch(() => {});
      this.begun.push(result);
    }
  }
}

/** What a worker answers to a task: a result, a mistake of the user's (a broken file), or a bug of ours. */
type Answer<Result> =
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'problem'; readonly message: string; readonly next: string | undefined }
  | { readonly kind: 'bug'; readonly message: string; readonly stack: string | undefined };

/** A task's result, and the buffers in it that are handed over instead of copied. */
export interface Outcome<Result> {
  readonly result: Result;
  readonly transfer: ArrayBuffer[];
}

/** Runs in a worker thread: answers every task, one after the other, with what `handle` makes of it. */
export function serve<Task, Result>(handle: (task: Task) => Promise<Outcome<Result>>): void {
  const port = parentPort;
  if (!port) throw new Error('This module runs in a worker thread only.');
  const answer = async (task: Task): Promise<void> => {
    const send = (message: Answer<Result>, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
    try {
      const { result, transfer } = await handle(task);
      send({ kind: 'result', result }, transfer);
    } catch (error) {
      if (error instanceof UserError) send({ kind: 'problem', message: error.message, next: error.next });
      else send({ kind: 'bug', message: String(error), stack: error instanceof Error ? error.stack : undefined });
    }
  };
  let last = Promise.resolve();
  port.on('message', (task: Task) => {
    last = last.then(() => answer(task));
  });
}
