import { z } from 'zod';
import { listFiles } from '../data/files.js';
import { isThere } from '../support/files.js';
import { readSealed } from '../support/json.js';

const schema = z.object({
  /** Images counted. */
  done: z.int().min(0),
  /** The confusion matrix, counts outside the classes included. */
  counts: z.array(z.int().min(0)),
  /** Wall-clock seconds so far. */
  seconds: z.number(),
  /** Images of the split read so far, unreadable ones included. */
  position: z.int().min(0),
  /** Names of the unreadable ones. */
  skippedImages: z.array(z.string()),
  /** See `weightsIdentity`. */
  weights: z.string(),
  /** Absolute path of the folder with the predictions so far. */
  predictions: z.string().nullable(),
  /** Whether predictions are Cityscapes' label ids. */
  labelIds: z.boolean(),
});

/** How far an evaluation is: it can resume from here. */
export type EvaluationPosition = z.output<typeof schema>;

/** The counts so far. */
export type Counted = Pick<EvaluationPosition, 'done' | 'counts' | 'seconds' | 'skippedImages'>;

/** A position is valid only for an evaluation with the same of these. */
export type EvaluationInputs = Pick<EvaluationPosition, 'weights' | 'predictions' | 'labelIds'>;

/**
 * How far an evaluation was; null if the file is missing, damaged or of another form, or if the weights or the place or form
 * of the predictions differ: then the evaluation starts again, with the same result.
 */
export async function readPosition(
  file: string,
  classes: number,
  inputs: EvaluationInputs,
): Promise<EvaluationPosition | null> {
  const content = await readSealed(file);
  if (content === null || content === 'damaged') return null;
  const parsed = schema.safeParse(content);
  if (!parsed.success || parsed.data.counts.length !== (classes + 1) ** 2) return null;
  const { done, position, skippedImages } = parsed.data;
  if (done + skippedImages.length !== position) return null;
  const keys = ['weights', 'predictions', 'labelIds'] as const;
  return keys.every((key) => parsed.data[key] === inputs[key]) ? parsed.data : null;
}

/** Whether a folder still holds predictions. */
export async function holdsPredictions(folder: string): Promise<boolean> {
  return (await isThere(folder)) && (await listFiles(folder)).some((name) => name.endsWith('.png'));
}
