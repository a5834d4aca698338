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
  /** Only runs without a sign of life for so many days. */
  readonly olderThanDays: number;
}

export interface CleanableRun {
  readonly run: InspectedRun;
  readonly bytes: number;
}

/**
 * The runs that a cleaning would remove, with what they take. A running or silent one never is among them, nor one that cannot
 * be read or is a link to a folder elsewhere, of which `note` is told.
 */
export async function cleanableRuns(
  runs: readonly InspectedRun[],
  { states, olderThanDays }: CleanOptions,
  note: (text: string) => void,
): Promise<CleanableRun[]> {
  const before = Date.now() - olderThanDays * 24 * 3600 * 1000;
  const chosen: CleanableRun[] = [];
  for (const run of runs) {
    if (run.state === 'running' || run.state === 'silent' || !states.includes(run.state)) continue;
    try {
      if ((await lstat(run.folder)).isSymbolicLink()) {
        note(`Left: ${run.folder} is a link: remove it, and what it leads to, yourself.`);
        continue;
      }
      const seen = run.updatedAt === null ? (await stat(run.folder)).mtimeMs : Date.parse(run.updatedAt);
      if (seen <= before) chosen.push({ run, bytes: await bytesBelow(run.folder) });
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
  /** Those that somebody goes on with by now, or has. */
  readonly left: readonly { readonly run: InspectedRun; readonly reason: string }[];
}

/**
 * Removes run directories, each while its lock is held: no process goes on with it meanwhile. Records that were kept under the
 * results stay.
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
    // Taking the lock would make the directory.
    if (!existsSync(run.folder)) continue;
    try {
      const onWait = (pid: number) => note(`Waiting for a sign of life of process ${pid}, which has ${run.folder}.`);
      const lock = await Lock.take(path.join(run.folder, 'lock'), false, { signal, onWait });
      await lock.during(async () => {
        if ((await inspectRun(run.folder)).updatedAt !== run.updatedAt) {
          left.push({ run, reason: `${run.folder} was gone on with meanwhile.` });
          return;
        }
        // First what a run is found by: one of which half is removed is nobody's to go on with.
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

/** Sum of the sizes of all files below a folder. Links are not followed. */
async function bytesBelow(folder: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) sum += await bytesBelow(file);
    else if (entry.isFile()) sum += (await stat(file)).size;
  }
  return sum;
}
