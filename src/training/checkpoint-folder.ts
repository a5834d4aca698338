import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { explainFileError } from '../support/files.js';
import { type Checkpoint, checkpointFiles, openCheckpoint, readDescription } from './checkpoint.js';

const STATE_NAME = /^iteration-(\d+)\.json$/;
const OWN_NAME = /^\.?iteration-\d+\./;

async function names(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw explainFileError(error, directory, 'read');
  }
}

/** Iterations of the complete checkpoints of a folder, the newest first. */
async function iterations(directory: string): Promise<number[]> {
  const found = (await names(directory)).flatMap((name) => STATE_NAME.exec(name)?.[1] ?? []).map(Number);
  return found.sort((a, b) => b - a);
}

/**
 * The newest checkpoint of a folder of which every byte is as it was written; null where there is none.
 * `onDamaged` is told of newer ones that are not.
 */
export async function newestCheckpoint(
  directory: string,
  onDamaged: (what: string) => void,
): Promise<Checkpoint | null> {
  for (const iteration of await iterations(directory)) {
    const checkpoint = await openCheckpoint(directory, iteration);
    if (typeof checkpoint !== 'string') return checkpoint;
    onDamaged(`The checkpoint of iteration ${iteration} is damaged (${checkpoint}): going back to the one before it.`);
  }
  return null;
}

/** Bytes that a folder's checkpoints take, of whatever is there; 0 where there is no folder. */
export async function checkpointsSize(directory: string): Promise<number> {
  const own = (await names(directory)).filter((name) => OWN_NAME.test(name));
  const sizes = await Promise.all(
    own.map((name) =>
      stat(path.join(directory, name)).then(
        ({ size }) => size,
        (error) => {
          // Another process may have removed it meanwhile.
          if (error.code === 'ENOENT') return 0;
          throw explainFileError(error, path.join(directory, name), 'read');
        },
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/**
 * Removes all but the `keep` newest checkpoints and the best one (of the lowest smoothed loss), and whatever a process
 * that was killed left half-written. Newer ones than `newest`, which was just written, are damaged ones of before.
 */
export async function rotate(directory: string, newest: number, keep: number): Promise<void> {
  const own = (await iterations(directory)).filter((iteration) => iteration <= newest);
  const kept = new Set(own.slice(0, keep));
  let best: { readonly iteration: number; readonly loss: number } | null = null;
  for (const iteration of own) {
    const description = await readDescription(checkpointFiles(directory, iteration).state);
    const loss = description?.progress?.smoothedLoss ?? Number.POSITIVE_INFINITY;
    if (best === null || loss < best.loss) best = { iteration, loss };
  }
  if (best !== null) kept.add(best.iteration);
  const files = new Set(
    [...kept].flatMap((iteration) => Object.values(checkpointFiles(directory, iteration)) as string[]),
  );
  // The description goes first: what is there without it is no checkpoint.
  const removed = (await names(directory))
    .filter((name) => OWN_NAME.test(name) && !files.has(path.join(directory, name)))
    .sort((a, b) => Number(b.endsWith('.json')) - Number(a.endsWith('.json')));
  for (const name of removed) await rm(path.join(directory, name), { force: true });
}
