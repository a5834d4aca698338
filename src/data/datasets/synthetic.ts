import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import type { Size } from '../image.js';

/** File in a data set's folder that says that it is synthetic, and of what kind. */
export const SYNTHETIC_MARKER = 'synthetic.json';

/** What the file holds. */
export interface SyntheticSettings {
  readonly generator: string;
  readonly version: number;
  /** Id of the data set whose files these look like. */
  readonly imitates: string;
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  /** Of every image, or of the largest. */
  readonly size: Size;
  readonly seed: number;
}

/** Whether the data set in a folder was painted by this program: figures on it say nothing about the real one. */
export function isSynthetic(folder: string): boolean {
  return existsSync(path.join(folder, SYNTHETIC_MARKER));
}

/**
 * With which settings the data set in a folder was painted; null where it was not painted by this program.
 * @throws UserError where the file that says so is damaged.
 */
export async function readSyntheticSettings(folder: string): Promise<SyntheticSettings | null> {
  const file = path.join(folder, SYNTHETIC_MARKER);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explainFileError(error, file, 'read');
  }
  const { z } = await import('zod');
  const count = z.int().min(0);
  const schema = z.object({
    generator: z.string(),
    version: count,
    imitates: z.string(),
    images: z.record(z.string(), count),
    size: z.object({ height: count, width: count }),
    seed: count,
  });
  const { data } = schema.safeParse(parseJson(text));
  if (data) return data;
  throw new UserError(
    `${file} does not say how the data was made: it is damaged, or of another version.`,
    'Remove the folder and make the data again with: fcn datasets generate',
  );
}

/** The value of a JSON text; undefined where it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
