import { z } from 'zod';
import { listFiles } from '../data/files.js';
import { isThere } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';

const schema = z.object({
  /** Images counted. */
  done: z.int().min(0),
  /** The confusion matrix, those outside the classes too. */
  counts: z.array(z.int().min(0)),
  /** Wall-clock seconds so far. */
  seconds: z.number(),
  /** Images of the split that were read, those left out included. */
  position: z.int().min(0),
  /** Names of those left out. */
  skippedImages: z.array(z.string()),
  /** The weights, as `weightsIdentity` gives it. */
  weights: z.string(),
  /** Folder of the predictions, which holds those of the images so far; absolute. */
  predictions: z.string().nullable(),
  /** Whether those are Cityscapes' label ids. */
  labelIds: z.boolean().default(false),
});

/** How far an evaluation is. */
export type EvaluationPosition = z.output<typeof schema>;

/** What was counted so far. */
export type Counted = Pick<EvaluationPosition, 'done' | 'counts' | 'seconds' | 'skippedImages'>;

export async function writePosition(file: string, position: EvaluationPosition): Promise<void> {
  await writeSealed(file, position);
}

/**
 * How far an evaluation was; null where nothing is noted, it is damaged or of another version, of other weights, or its
 * predictions were written elsewhere or otherwise: the evaluation is done from its start then, with the same result.
 */
export async function readPosition(
  file: string,
  classes: number,
  of: Pick<EvaluationPosition, 'weights' | 'predictions' | 'labelIds'>,
): Promise<EvaluationPosition | null> {
  const content = await readSealed(file);
  if (content === null || content === 'damaged') return null;
  const parsed = schema.safeParse(content);
  if (!parsed.success || parsed.data.counts.length !== (classes + 1) ** 2) return null;
  const { done, position, skippedImages } = parsed.data;
  if (done + skippedImages.length !== position) return null;
  const keys = ['weights', 'predictions', 'labelIds'] as const;
  return keys.every((key) => parsed.data[key] === of[key]) ? parsed.data : null;
}

/** Whether predictions are in a folder still: it may have been removed since they were written. */
export async function holdsPredictions(folder: string): Promise<boolean> {
  return (await isThere(folder)) && (await listFiles(folder)).some((name) => name.endsWith('.png'));
}
