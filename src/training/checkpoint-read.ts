import { stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { sha256File } from '../support/files.js';
import { readSealed } from '../support/json.js';
import { type CheckpointFiles, checkpointFiles, unlessMissing } from './checkpoint.js';
import {
  type CheckpointDescription,
  checkpointSchema,
  type FileDescription,
  type TrainingProgress,
} from './checkpoint-schema.js';

export interface TrainingCheckpoint {
  readonly iteration: number;
  readonly files: CheckpointFiles;
  readonly progress: TrainingProgress | null;
}

/**
 * The content of a checkpoint's JSON file; null if it is missing or damaged. The other files are not read.
 * @throws UserError if it cannot be read.
 */
export async function readDescription(state: string): Promise<CheckpointDescription | null> {
  const content = await readSealed(state);
  if (content === null || content === 'damaged') return null;
  const parsed = checkpointSchema.safeParse(content);
  return parsed.success ? parsed.data : null;
}

/**
 * Checks every byte of a checkpoint. An unreadable one counts as damaged.
 * @returns the checkpoint, or what is wrong with it.
 */
export async function openCheckpoint(directory: string, iteration: number): Promise<TrainingCheckpoint | string> {
  const files = checkpointFiles(directory, iteration);
  const description = await unlessUnreadable(files.state, () => readDescription(files.state));
  if (typeof description === 'string') return description;
  if (description?.iteration !== iteration) return `${path.basename(files.state)} differs from what was written`;
  for (const name of ['weights', 'optimizer'] as const) {
    const damage = await unlessUnreadable(files[name], () => damageOf(files[name], description[name]));
    if (damage !== null) return damage;
  }
  return { iteration, files, progress: description.progress };
}

/** The result of `read`, or a sentence about the file that the system refuses to read. */
async function unlessUnreadable<T>(file: string, read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    const { code } = (error instanceof UserError ? error.cause : error) as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return `${path.basename(file)} cannot be read (${code})`;
  }
}

/** How a file differs from what its checkpoint says; null if it does not. */
async function damageOf(file: string, expected: FileDescription): Promise<string | null> {
  const name = path.basename(file);
  if (expected.file !== name) return `${name} is not the file that its checkpoint names`;
  const status = await unlessMissing(file, 'read', stat(file), null);
  if (status === null) return `${name} is missing`;
  if (status.size !== expected.bytes) return `${name} has ${status.size} bytes, not ${expected.bytes}`;
  return (await sha256File(file)) === expected.sha256 ? null : `${name} differs from what was written`;
}
