import { existsSync } from 'node:fs';
import path from 'node:path';
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
