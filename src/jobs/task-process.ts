import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { explainFileError, makeFolder } from '../support/files.js';
import { readJson } from '../support/json.js';
import { packageRoot } from '../support/package.js';
import { type Job, logFile, type Task, taskFile } from './job.js';

/** How a task's process ended. */
export interface ProcessEnd {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last error that it wrote to its log; null if there is none. */
  readonly message: string | null;
}

interface ProcessOptions {
  readonly job: Job;
  readonly task: Task;
  /** What stands above its output in the log. */
  readonly heading: string;
  /** Flags that say which run it resumes. */
  readonly resumption: readonly string[];
  /** Is aborted if it is to save its state and end. */
  readonly stop: AbortSignal;
  /** Whether a signal for the worker's process group, such as a Ctrl-C, must not reach it. */
  readonly ownGroup: boolean;
  /** Called when the process has a run directory, once. */
  readonly onRun: (directory: string) => Promise<void>;
}

/** Milliseconds between two looks for the name of the run directory. */
const LOOK_MILLISECONDS = 200;

/**
 * Runs the command of a task; its output is appended to the task's log. If this process is killed, it saves its state and ends, too.
 * @throws UserError if the log cannot be written, or the process cannot be started.
 */
export async function runTask(options: ProcessOptions): Promise<ProcessEnd> {
  const { job, task, heading, resumption } = options;
  const file = logFile(job, task.index);
  await makeFolder(path.dirname(file));
  const log = await open(file, 'a').catch((error) => {
    throw explainFileError(error, file, 'write');
  });
  try {
    await log.appendFile(`${heading}\n`);
    const from = (await log.stat()).size;
    const announcement = taskFile(job, task.index, 'run');
    const own = [`--announce=${announcement}`, `--recipe=${task.recipe}`, ...resumption];
    const words = [path.join(packageRoot(), 'bin', 'run.js'), ...task.arguments, ...own];
    // The channel tells the process when this one has ended, however that came.
    const child = spawn(process.execPath, words, {
      cwd: job.folder,
      env: environmentOf(job),
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
      detached: options.ownGroup,
    });
    const end = await ended(child, announcement, options);
    return { ...end, message: end.code === 0 ? null : await lastError(file, from) };
  } catch (error) {
    throw explainFileError(error, file, 'write');
  } finally {
    await log.close();
  }
}

/** The environment of this process, but settings of fcn only as the job has them. */
function environmentOf({ environment }: Job): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('FCN_'));
  return { ...Object.fromEntries(inherited), ...environment };
}

async function ended(
  child: ReturnType<typeof spawn>,
  announcement: string,
  { stop, onRun }: ProcessOptions,
): Promise<Pick<ProcessEnd, 'code' | 'signal'>> {
  const terminate = () => void child.kill('SIGTERM');
  let announced = false;
  const look = async () => {
    const run = announced ? null : await announcedRun(announcement, child.pid);
    if (run === null || announced) return;
    announced = true;
    await onRun(run);
  };
  const looking = repeat(look, LOOK_MILLISECONDS);
  try {
    const end = new Promise<Pick<ProcessEnd, 'code' | 'signal'>>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    if (stop.aborted) terminate();
    else stop.addEventListener('abort', terminate, { once: true });
    return await end;
  } finally {
    stop.removeEventListener('abort', terminate);
    await looking.end();
    await look();
  }
}

/** Calls a function again and again, never twice at once. `end` waits for the call in progress, and throws what one threw. */
export function repeat(work: () => Promise<void>, milliseconds: number): { readonly end: () => Promise<void> } {
  let last = Promise.resolve();
  let isBusy = false;
  let failure: { readonly error: unknown } | null = null;
  const timer = setInterval(() => {
    if (isBusy || failure !== null) return;
    isBusy = true;
    last = work()
      .catch((error: unknown) => {
        failure = { error };
      })
      .finally(() => {
        isBusy = false;
      });
  }, milliseconds);
  return {
    end: async () => {
      clearInterval(timer);
      await last;
      if (failure !== null) throw failure.error;
    },
  };
}

const announcementSchema = z.object({ run: z.string(), processId: z.int() });

/** The run directory that a process has announced; null if it has not. */
async function announcedRun(file: string, processId: number | undefined): Promise<string | null> {
  const { data } = announcementSchema.safeParse(await readJson(file));
  return data?.processId === processId ? (data?.run ?? null) : null;
}

/** More bytes than the last messages of a command have. */
const LONGEST_END = 65_536;

/** The last error in a log from a position on: from "error: " to "next: ", or to the end of the line. */
async function lastError(file: string, from: number): Promise<string | null> {
  const text = (await readFile(file)).subarray(from).subarray(-LONGEST_END).toString('utf8');
  const last = text
    .split(/^error: /m)
    .slice(1)
    .at(-1);
  if (last === undefined) return null;
  const [message = ''] = last.split(/^next: /m);
  return message.length < last.length ? message.trimEnd() : message.split('\n', 1)[0]!;
}
