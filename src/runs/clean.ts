import { existsSync } from 'node:fs';
import { lstat, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { BusyError, UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { Lock } from '../support/lock.js';
import type { RunState } from './directory.js';
import { type InspectedRun, inspectRun } from './inspect.js';

export interface CleanOptions {
  readonly states: readonly RunState[];
  /** Only runs without a sign of life for this many days. */
  readonly olderThanDays: number;
}

export interface CleanableRun {
  readonly run: InspectedRun;
  readonly bytes: number;
}

/**
 * The runs that a cleaning would remove, with their sizes; never running or silent ones. Runs that cannot be read, or are links,
 * are noted and left.
 */
export async function cleanableRuns(
  runs: readonly InspectedRun[],
  { states, olderThanDays }: CleanOptions,
  note: (text: string) => void,
): Promise<CleanableRun[]> {
  const latest = Date.now() - olderThanDays * 24 * 3600 * 1000;
  const chosen: CleanableRun[] = [];
  for (const run of runs) {
    if (run.state === 'running' || run.state === 'silent' || !states.includes(run.state)) continue;
    try {
      if ((await lstat(run.folder)).isSymbolicLink()) {
        note(`Left: ${run.folder} is a link: remove it and its target yourself.`);
        continue;
      }
      const seen = run.updatedAt === null ? (await stat(run.folder)).mtimeMs : Date.parse(run.updatedAt);
      if (seen <= latest) chosen.push({ run, bytes: await bytesBelow(run.folder) });
    } catch (error) {
      const explained = explainFileError(error, (error as NodeJS.ErrnoException).path ?? run.folder, 'read');
      if (!(explained instanceof UserError)) throw error;
      note(`Left: ${explained.message}`);
    }
  }
  return chosen;
}

interface Removal {
  readonly removed: readonly CleanableRun[];
  /** Runs that are being resumed, or were resumed meanwhile. */
  readonly left: readonly { readonly run: InspectedRun; readonly reason: string }[];
}

/**
 * Removes run directories, each while holding its lock, so that no process resumes it meanwhile. Kept records stay.
 * @throws UserError if one cannot be removed; the signal's reason on abort.
 */
export async function removeRuns(
  runs: readonly CleanableRun[],
  { signal, note }: { readonly signal: AbortSignal; readonly note: (text: string) => void },
): Promise<Removal> {
  const removed: CleanableRun[] = [];
  const left: { run: InspectedRun; reason: string }[] = [];
  for (const one of runs) {
    const { run } = one;
    signal.throwIfAborted();
    // Taking the lock would create the directory.
    if (!existsSync(run.folder)) continue;
    try {
      const onWait = (pid: number) => note(`Waiting to see whether process ${pid} still uses ${run.folder}.`);
      const lock = await Lock.take(path.join(run.folder, 'lock'), false, { signal, onWait });
      await lock.during(async () => {
        if ((await inspectRun(run.folder)).updatedAt !== run.updatedAt) {
          left.push({ run, reason: `${run.folder} was resumed meanwhile.` });
          return;
        }
        // First the file that identifies the run, so that nobody resumes a half-removed one.
        await rm(path.join(run.folder, 'run.json'), { force: true });
        await rm(run.folder, { recursive: true, force: true });
        removed.push(one);
      });
    } catch (error) {
      if (!(error instanceof BusyError)) throw explainFileError(error, run.folder, 'write');
      left.push({ run, reason: error.message });
    }
  }
  return { removed, left };
}

/** Total size of all files below a folder; links are not followed. */
async function bytesBelow(folder: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) sum += await bytesBelow(file);
    else if (entry.isFile()) sum += (await stat(file)).size;
  }
  return sum;
}
