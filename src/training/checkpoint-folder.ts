import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { sha256File } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';
import { checkpointFiles, unlessMissing } from './checkpoint.js';
import { openCheckpoint, readDescription, type TrainingCheckpoint } from './checkpoint-read.js';
import { iterations } from './checkpoint-rotation.js';
import type { ValidationLine } from './log.js';

/** Prefix of the files of damaged checkpoints. */
const DAMAGED = 'damaged-';

/**
 * The newest intact checkpoint of a folder: every byte is as written; null if there is none. Newer ones that are damaged or
 * unreadable are renamed, and `onDamaged` gets a message about each.
 * @throws UserError if the folder cannot be read, or a file in it cannot be renamed.
 */
export async function newestCheckpoint(
  directory: string,
  onDamaged: (message: string) => void,
): Promise<TrainingCheckpoint | null> {
  const found = await iterations(directory);
  for (const [i, iteration] of found.entries()) {
    const checkpoint = await openCheckpoint(directory, iteration);
    if (typeof checkpoint !== 'string') return checkpoint;
    await setAside(directory, iteration);
    const consequence =
      i + 1 < found.length
        ? 'the one before it is used instead'
        : 'no intact checkpoint is left, so training starts from the beginning';
    onDamaged(
      `The checkpoint of iteration ${iteration} is damaged (${checkpoint}): ${consequence}. ` +
        `Its files are kept as ${path.join(directory, `${DAMAGED}iteration-${iteration}.*`)}.`,
    );
  }
  return null;
}

/** The iteration of a folder's newest complete checkpoint; null if there is none. */
export async function newestIteration(directory: string): Promise<number | null> {
  return (await iterations(directory))[0] ?? null;
}

/**
 * The weights file of a checkpoint, every byte as written, or what is wrong with it.
 * @throws UserError if the system refuses to read it.
 */
export async function intactWeights(
  directory: string,
  iteration: number,
): Promise<{ readonly file: string; readonly sha256: string } | { readonly problem: string }> {
  const { weights: file, state } = checkpointFiles(directory, iteration);
  const { sha256 } = (await readDescription(state))?.weights ?? {};
  if (sha256 === undefined) return { problem: `${state} is missing or damaged` };
  const found = await unlessMissing(file, 'read', sha256File(file), null);
  if (found === null) return { problem: `${file} is missing` };
  return found === sha256 ? { file, sha256 } : { problem: `${file} differs from what was written` };
}

async function setAside(directory: string, iteration: number): Promise<void> {
  // The description first: files without it are no checkpoint.
  const { state, ...others } = checkpointFiles(directory, iteration);
  for (const file of [state, ...Object.values(others)]) {
    await unlessMissing(file, 'write', rename(file, path.join(directory, `${DAMAGED}${path.basename(file)}`)), null);
  }
}

const bestSchema = z.object({
  /** Steps done when the weights were saved. */
  iteration: z.int().min(1),
  /** Of the validation split at a single scale, a fraction. */
  mIoU: z.number(),
});

/** The checkpoint with the highest mIoU of those that were evaluated; of equal ones the newest. */
export type BestCheckpoint = Readonly<z.output<typeof bestSchema>>;

/** The better of two evaluated checkpoints, the second of which is newer. */
export function better(
  earlier: BestCheckpoint | null,
  { iteration, mIoU }: Pick<ValidationLine, 'iteration' | 'mIoU'>,
): BestCheckpoint {
  return earlier !== null && earlier.mIoU > mIoU ? earlier : { iteration, mIoU };
}

/** The best of the evaluations in a log, oldest first; null if there are none. */
export function bestOf(lines: readonly ValidationLine[]): BestCheckpoint | null {
  return lines.reduce<BestCheckpoint | null>(better, null);
}

const markOf = (folder: string) => path.join(folder, 'best.json');

/** Marks the best checkpoint in a folder of checkpoints; removes the mark if there is none. */
export async function markBest(folder: string, best: BestCheckpoint | null): Promise<void> {
  if (best === null) await rm(markOf(folder), { force: true });
  else await writeSealed(markOf(folder), best);
}

/** The marked checkpoint of a folder; null if no evaluation has marked one, or the mark is damaged. */
export async function readBest(folder: string): Promise<BestCheckpoint | null> {
  const content = await readSealed(markOf(folder));
  return content === null || content === 'damaged' ? null : (bestSchema.safeParse(content).data ?? null);
}
