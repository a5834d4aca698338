import { statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Experiment } from '../experiments/experiment.js';
import { architecture } from '../nn/architecture.js';
import { isTrained, parameterSpecs } from '../nn/parameters.js';
import { explainFileError } from '../support/files.js';

/** Free bytes of the disk that a folder is on, or will be on. */
export async function freeDisk(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const parent = path.dirname(folder);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && parent !== folder) return freeDisk(parent);
    throw explainFileError(error, folder, 'read');
  }
}

/**
 * Checkpoints that are there at a time, at most: the newest ones that stay, the best, and the one that is written before an older
 * one goes.
 */
export function mostCheckpoints({ training: { iterations, checkpointEvery } }: Experiment, keep: number): number {
  return Math.min(Math.ceil(iterations / checkpointEvery), keep + 2);
}

/** Bytes of as many: weights with their running statistics, and the momentum of what is trained. */
export function checkpointsBytes(experiment: Experiment, keep: number): number {
  const bytes = parameterSpecs(architecture(experiment.model))
    .map(({ kind, shape }) => (isTrained(kind) ? 2 : 1) * 4 * shape.reduce((product, n) => product * n, 1))
    .reduce((sum, each) => sum + each, 0);
  return mostCheckpoints(experiment, keep) * bytes;
}
