import type { z } from 'zod';
import { UserError } from '../support/errors.js';
import { readTextIfPresent } from '../support/files.js';

/** The value of a job's JSON file; null if there is none; 'damaged' if it has another form. @throws UserError if it cannot be read. */
export async function readTaskFile<T>(file: string, schema: z.ZodType<T>): Promise<T | 'damaged' | null> {
  const text = await withWayOut(readTextIfPresent(file));
  if (text === null) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? 'damaged';
  } catch (error) {
    if (error instanceof SyntaxError) return 'damaged';
    throw error;
  }
}

/** What is done with a file of a job's own. @throws what that throws; if it says no way out, such as for a folder in its place, with one. */
export function withWayOut<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    if (!(error instanceof UserError) || error.constructor !== UserError || error.next !== undefined) throw error;
    throw new UserError(error.message, 'Move it away: a job keeps a file of its own there.', { cause: error });
  });
}
