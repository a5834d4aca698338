import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { readSealed } from '../support/json.js';
import { checkpointFiles, unlessMissing } from './checkpoint.js';
import type { CheckpointDescription } from './checkpoint-schema.js';

const STATE_NAME = /^iteration-(\d+)\.json$/;
const OWN_NAME = /^\.?iteration-\d+\./;

function names(directory: string): Promise<string[]> {
  return unlessMissing(directory, 'read', readdir(directory), []);
}

/** Iterations of a folder's complete checkpoints, newest first. */
export async function iterations(directory: string): Promise<number[]> {
  const found = (await names(directory)).flatMap((name) => STATE_NAME.exec(name)?.[1] ?? []).map(Number);
  return found.sort((a, b) => b - a);
}

/** Bytes of all checkpoint files in a folder; 0 if there is no folder. */
export async function checkpointsSize(directory: string): Promise<number> {
  const own = (await names(directory)).filter((name) => OWN_NAME.test(name));
  const files = own.map((name) => path.join(directory, name));
  // Another process may remove a file in between.
  const found = await Promise.all(files.map((file) => unlessMissing(file, 'read', stat(file), null)));
  return found.reduce((sum, status) => sum + (status?.size ?? 0), 0);
}

/** The loss in a checkpoint's JSON file, read without its schema: the thread that rotates would load zod for this alone. */
function smoothedLossOf(content: object | 'damaged' | null): number | undefined {
  if (content === null || content === 'damaged') return undefined;
  const loss: unknown = (content as Partial<CheckpointDescription>).progress?.smoothedLoss;
  return typeof loss === 'number' ? loss : undefined;
}

/** The iteration of the lowest smoothed loss; null if there is no checkpoint. */
async function lowestLoss(directory: string, own: readonly number[]): Promise<number | null> {
  let best: { readonly iteration: number; readonly loss: number } | null = null;
  for (const iteration of own) {
    // An unreadable one cannot be the best.
    const content = await readSealed(checkpointFiles(directory, iteration).state).catch(() => null);
    const loss = smoothedLossOf(content) ?? Number.POSITIVE_INFINITY;
    if (best === null || loss < best.loss) best = { iteration, loss };
  }
  return best?.iteration ?? null;
}

/**
 * Removes all but the `keep` newest checkpoints and the best one, and the half-written files of a process that was killed. Files
 * set aside as damaged stay.
 * @param best Iteration of the highest mIoU; null if none was evaluated: then the best is the one of the lowest smoothed loss.
 */
export async function rotate(directory: string, keep: number, best: number | null): Promise<void> {
  const own = await iterations(directory);
  const kept = new Set(own.slice(0, keep));
  const also = best ?? (await lowestLoss(directory, own));
  if (also !== null) kept.add(also);
  const files = new Set(
    [...kept].flatMap((iteration) => Object.values<string>({ ...checkpointFiles(directory, iteration) })),
  );
  // Descriptions first: files without one are no checkpoint.
  const removed = (await names(directory))
    .filter((name) => OWN_NAME.test(name) && !files.has(path.join(directory, name)))
    .sort((a, b) => Number(b.endsWith('.json')) - Number(a.endsWith('.json')));
  for (const name of removed) await rm(path.join(directory, name), { force: true });
}
