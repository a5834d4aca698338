import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { parentPort, Worker } from 'node:worker_threads';
import { UserError } from '../../support/errors.js';

interface Job<Task, Result> {
  readonly task: Task;
  /** Buffers in the task that are transferred instead of copied. */
  readonly transfer: readonly ArrayBuffer[];
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

interface Thread<Task, Result> {
  readonly worker: Worker;
  /** Sent to the worker and not yet answered, in order. */
  readonly jobs: Job<Task, Result>[];
}

/** Tasks sent to a worker at a time. The second keeps it busy while a native engine blocks the main thread. */
const TASKS_A_WORKER = 2;

/** Memory for young objects of a worker, in MB, without pixels. By default it would grow to 48 MB over some hundred tasks. */
const YOUNG_OBJECTS_MB = 4;

function toError(answer: Exclude<Answer<unknown>, { kind: 'result' }>): Error {
  if (answer.kind === 'problem') return new UserError(answer.message, answer.next);
  const error = new Error(answer.message);
  if (answer.stack !== undefined) error.stack = answer.stack;
  return error;
}

/** A fixed number of worker threads that do tasks in order. Idle threads do not keep the process alive. */
export class WorkerPool<Task, Result> {
  private readonly threads: Thread<Task, Result>[] = [];
  private readonly waiting: Job<Task, Result>[] = [];
  /** Why the pool takes no more tasks. */
  private ended: Error | null = null;

  private constructor() {}

  /** Starts the threads, which may decode images. `module` must call `serve`. */
  static async start<Task, Result>(module: URL, size: number, workerData: unknown): Promise<WorkerPool<Task, Result>> {
    // If the main thread has not loaded sharp's libraries, they are unloaded with the first worker that ends.
    await import('sharp');
    return WorkerPool.startWithoutSharp(module, size, workerData);
  }

  /** The same at once, of threads that do not load sharp. */
  static startWithoutSharp<Task, Result>(module: URL, size: number, workerData: unknown): WorkerPool<Task, Result> {
    const pool = new WorkerPool<Task, Result>();
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_OBJECTS_MB };
    for (let i = 0; i < size; i++) pool.addThread(new Worker(module, { workerData, resourceLimits }));
    return pool;
  }

  /** Rejects with the UserError that the worker threw, or with another error if a thread or the pool has ended. */
  run(task: Task, transfer: readonly ArrayBuffer[] = []): Promise<Result> {
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      this.waiting.push({ task, transfer, resolve, reject });
      this.dispatch();
    });
  }

  /** Runs a task on every thread, before those that are given later. Rejects as `run`, once one of them fails. */
  runOnEach(task: Task): Promise<Result[]> {
    if (this.ended) return Promise.reject(this.ended);
    return Promise.all(
      this.threads.map(
        (thread) => new Promise<Result>((resolve, reject) => send(thread, { task, transfer: [], resolve, reject })),
      ),
    );
  }

  /**
   * Runs tasks, at most `ahead` at a time, so that it ends soon after an abort or a failure. `onResult` gets the results in the
   * order in which they are done.
   * @throws The error of a task, or the signal's reason.
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

  /** Ends the threads at once and rejects unfinished tasks. Resolves when no thread is left. */
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
    // A worker answers even if its task fails. One that ends by itself is broken and is not replaced.
    worker.on('error', (error) => this.end(error));
    void once(worker, 'exit').then(
      () => this.end(new Error('A worker thread ended unexpectedly.')),
      () => {},
    );
  }

  private dispatch(): void {
    for (let depth = 1; depth <= TASKS_A_WORKER; depth++) {
      for (const thread of this.threads) {
        if (thread.jobs.length >= depth) continue;
        const job = this.waiting.shift();
        if (!job) return;
        send(thread, job);
      }
    }
  }
}

function send<Task, Result>({ worker, jobs }: Thread<Task, Result>, job: Job<Task, Result>): void {
  jobs.push(job);
  worker.ref();
  worker.postMessage(job.task, job.transfer);
}

/** Memory for results made ahead of the reader, in bytes. At least one result is always made ahead. */
const BYTES_AHEAD = 384 * 2 ** 20;

/** One core is left to the main thread, and eight workers keep up with any engine. */
export function defaultWorkers(): number {
  return Math.min(Math.max(availableParallelism() - 1, 1), 8);
}

/** Small files that are read while a worker starts, which takes 0.15 s of a processor with sharp. */
const FILES_A_START = 16;

/** How many workers are worth starting for so many files; 0 if the main thread reads them sooner itself. */
export function workersFor(files: number, most: number): number {
  return Math.min(most, Math.floor(files / FILES_A_START));
}

/** How many results of `bytes` each are made ahead: one more than there are workers, if memory allows. */
export function resultsAhead(workers: number, bytes: number): number {
  return Math.max(1, Math.min(workers + 1, Math.floor(BYTES_AHEAD / bytes)));
}

/**
 * Results 0, 1, 2, … of `produce`, in order. At most `ahead` are begun before they are read. After a failure, every later read
 * fails in the same way.
 */
export class Prefetch<Result> {
  private readonly begun: Promise<Result>[] = [];
  private nextIndex = 0;
  private failure: { readonly error: unknown } | null = null;

  constructor(
    private readonly produce: (index: number) => Promise<Result>,
    private readonly ahead: number,
    /** Number of results; reading more is an error. */
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
      // A failure is reported when the result is read, which may be never.
      result.catch(() => {});
      this.begun.push(result);
    }
  }
}

/** A worker's answer to a task: a result, a mistake of the user's (a broken file), or a bug of ours. */
type Answer<Result> =
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'problem'; readonly message: string; readonly next: string | undefined }
  | { readonly kind: 'bug'; readonly message: string; readonly stack: string | undefined };

/** A task's result, and the buffers in it that are transferred instead of copied. */
interface TaskResult<Result> {
  readonly result: Result;
  readonly transfer: ArrayBuffer[];
}

/** Runs in a worker thread: answers one task after the other with the result of `handle`. */
export function serve<Task, Result>(handle: (task: Task) => Promise<TaskResult<Result>>): void {
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

interface WorkersOptions<Task, Result> {
  /** Threads; fewer if there are fewer tasks. 0: this thread does the tasks, one after the other. */
  readonly workers: number;
  /** Does a task in this thread. */
  readonly here: (task: Task) => Promise<Result>;
  /** What each thread starts with. */
  readonly workerData: unknown;
  readonly tasks: Iterable<Task>;
  /** Number of tasks. */
  readonly count: number;
  readonly signal?: AbortSignal | undefined;
  /** Gets the results in the order in which they are done. */
  readonly onResult?: (result: Result, task: Task) => void;
}

/**
 * Does tasks in threads that are started for them and ended afterwards, or in this one.
 * @param module As `WorkerPool.start` takes it.
 * @throws as `WorkerPool.runAll`.
 */
export async function doInWorkers<Task, Result>(
  module: URL,
  { workers, here, workerData, tasks, count, signal, onResult }: WorkersOptions<Task, Result>,
): Promise<void> {
  if (workers === 0) {
    for (const task of tasks) {
      signal?.throwIfAborted();
      onResult?.(await here(task), task);
    }
    return;
  }
  const pool = await WorkerPool.start<Task, Result>(module, Math.min(workers, count), workerData);
  try {
    await pool.runAll(tasks, TASKS_A_WORKER * workers, { signal, ...(onResult && { onResult }) });
  } finally {
    await pool.close();
  }
}
