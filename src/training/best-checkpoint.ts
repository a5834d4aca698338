import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { readSealed, writeSealed } from '../support/json.js';
import type { ValidationLine } from './log.js';

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
