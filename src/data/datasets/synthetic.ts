import { existsSync } from 'node:fs';
import path from 'node:path';

/** File in a data set's folder that says that it is synthetic, and of what kind. */
export const SYNTHETIC_MARKER = 'synthetic.json';

/** Whether the data set in a folder was painted by this program: figures on it say nothing about the real one. */
export function isSynthetic(folder: string): boolean {
  return existsSync(path.join(folder, SYNTHETIC_MARKER));
}
