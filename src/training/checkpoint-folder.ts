import { readdir, rename, rm, stat } from 'node:fs/promises';
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

/** What the names of files begin with that belong to checkpoints that were damaged. */
const DAMAGED = 'damaged-';

/**
 * The newest checkpoint of a folder of which every byte is as it was written; null where there is none. Newer ones that are
 * damaged or cannot be read are kept under other names, and `onDamaged` is told of each.
 * @throws UserError where the folder cannot be read, or a file in it not be renamed.
 */
export async function newestCheckpoint(
  directory: string,
  onDamaged: (what: string) => void,
): Promise<Checkpoint | null> {
  const found = await iterations(directory);
  for (const [i, iteration] of found.entries()) {
    const checkpoint = await openCheckpoint(directory, iteration);
    if (typeof checkpoint !== 'string') return checkpoint;
    await setAside(directory, iteration);
    const then =
      i + 1 < found.length
        ? 'going back to the one before it'
        : 'no whole checkpoint is left, and training starts anew';
    onDamaged(
      `The checkpoint of iteration ${iteration} is damaged (${checkpoint}): ${then}. ` +
        `Its files are kept as ${path.join(directory, `${DAMAGED}iteration-${iteration}.*`)}.`,
    );
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

async function setAside(directory: string, iteration: number): Promise<void> {
  // The description first: what is there without it is no checkpoint.
  const { state, ...others } = checkpointFiles(directory, iteration);
  for (const file of [state, ...Object.values(others)]) {
    try {
      await rename(file, path.join(directory, `${DAMAGED}${path.basename(file)}`));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, file, 'write');
    }
  }
}

/**
 * Removes all but the `keep` newest checkpoints and the best one (of the lowest smoothed loss), and whatever a process
 * that was killed left half-written. What was set aside as damaged stays.
 */
export async function rotate(directory: string, keep: number): Promise<void> {
  const own = await iterations(directory);
  const kept = new Set(own.slice(0, keep));
  let best: { readonly iteration: number; readonly loss: number } | null = null;
  for (const iteration of own) {
    // One that cannot be read cannot be chosen.
    const description = await readDescription(checkpointFiles(directory, iteration).state).catch(() => null);
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
