import { listFiles } from '../data/datasets/walk.js';
import { isThere } from '../support/files.js';

/** Whether predictions are in a folder still: it may have been removed since they were written. */
export async function holdsPredictions(folder: string): Promise<boolean> {
  return (await isThere(folder)) && (await listFiles(folder)).some((name) => name.endsWith('.png'));
}
