import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { explainFileError } from '../support/files.js';
import type { InspectedRun, RunState } from './inspect.js';

/** States of runs that may be removed. Those of `interrupted` and `killed` ones can be gone on with. */
export const CLEANABLE = [
  'failed',
  'interrupted',
  'killed',
  'unknown',
  'completed',
] as const satisfies readonly RunState[];

export interface CleanOptions {
  readonly states: readonly RunState[];
  /** Only runs without a sign of life for so many days. */
  readonly olderThanDays: number;
}

export interface CleanableRun {
  readonly run: InspectedRun;
  readonly bytes: number;
}

/** The runs that a cleaning would remove, with what they take. A running or silent one never is among them. */
export async function cleanableRuns(
  runs: readonly InspectedRun[],
  { states, olderThanDays }: CleanOptions,
): Promise<CleanableRun[]> {
  const before = Date.now() - olderThanDays * 24 * 3600 * 1000;
  const chosen: CleanableRun[] = [];
  for (const run of runs) {
    if (run.state === 'running' || run.state === 'silent' || !states.includes(run.state)) continue;
    const seen = run.updatedAt === null ? (await stat(run.folder)).mtimeMs : Date.parse(run.updatedAt);
    if (seen <= before) chosen.push({ run, bytes: await bytesBelow(run.folder) });
  }
  return chosen;
}

/**
 * Removes run directories. Records that were kept under the results stay.
 * @throws UserError where one cannot be removed.
 */
export async function removeRuns(runs: readonly CleanableRun[]): Promise<void> {
  for (const { run } of runs) {
    try {
      await rm(run.folder, { recursive: true, force: true });
    } catch (error) {
      throw explainFileError(error, run.folder, 'write');
    }
  }
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
