import { describedDataset } from './described.js';

/**
 * Images of each split of a data set that the package describes, as published; empty where nothing says so, and of any other
 * data set.
 */
export function publishedImages(id: string): Readonly<Record<string, number>> {
  return describedDataset(id)?.images ?? {};
}
