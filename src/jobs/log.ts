import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { explainFileError } from '../support/files.js';
import type { Executor } from './executor.js';
import { type Job, logFile, type Task } from './job.js';
import { taskName } from './names.js';
import { hasEnded, taskStatuses } from './states.js';

/** A line that a task's command wrote. */
interface TaskLine {
  readonly index: number;
  /** As in `taskName`. */
  readonly task: string;
  readonly line: string;
}

interface LogOptions {
  /** Number of lines of each task from the end; 0: all. */
  readonly lines: number;
  /** Also new lines, until the tasks have ended. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** More bytes than most lines have: of longer ones, fewer are shown. */
const LONG_LINE = 1024;

/** Milliseconds between two reads of followed logs. */
const FOLLOW_MILLISECONDS = 500;

/** The last lines of the logs of tasks and, with `follow`, new ones until these tasks have ended. @throws UserError if one cannot be read. */
export async function* taskLines(
  job: Job,
  tasks: readonly Task[],
  executor: Executor,
  { lines, follow, signal }: LogOptions,
): AsyncGenerator<TaskLine> {
  const tails = tasks.map(({ index }) => ({ index, task: taskName(job, index), tail: new Tail(logFile(job, index)) }));
  for (const { index, task, tail } of tails) {
    await tail.skipTo(lines);
    // slice(-0) gives all.
    for (const line of (await tail.next()).slice(-lines)) yield { index, task, line };
  }
  while (follow) {
    // First the states: what a task wrote before its end is read afterwards.
    const statuses = await taskStatuses(job, executor);
    const isOver = signal.aborted || tasks.every(({ index }) => hasEnded(statuses[index]!));
    for (const { index, task, tail } of tails) {
      for (const line of await tail.next(isOver)) yield { index, task, line };
    }
    if (isOver) return;
    await sleep(FOLLOW_MILLISECONDS, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

/** Reads a growing file by lines. A file that does not exist is empty. */
class Tail {
  private position = 0;

  constructor(private readonly file: string) {}

  /** Skips what is before the last lines, approximately; 0: nothing. */
  async skipTo(lines: number): Promise<void> {
    if (lines === 0) return;
    const text = await this.read();
    const first = Math.max(0, text.length - lines * LONG_LINE);
    if (first > 0) this.position = text.indexOf(10, first) + 1;
  }

  /** The complete lines since the last call; with `all`, also an incomplete one. */
  async next(all = false): Promise<string[]> {
    const bytes = await this.read();
    const end = all ? bytes.length : bytes.lastIndexOf(10) + 1;
    if (end === 0) return [];
    this.position += end;
    return bytes.subarray(0, end).toString('utf8').replace(/\n$/, '').split('\n');
  }

  /** All bytes from the position on. */
  private async read(): Promise<Buffer> {
    try {
      const handle = await open(this.file, 'r');
      try {
        const { size } = await handle.stat();
        const buffer = Buffer.alloc(Math.max(0, size - this.position));
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.position);
        return buffer.subarray(0, bytesRead);
      } finally {
        await handle.close();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
      throw explainFileError(error, this.file, 'read');
    }
  }
}
