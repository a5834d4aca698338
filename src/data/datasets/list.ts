import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { datasetIds, loadDataset } from './description.js';
import { expectedImages } from './expected.js';
import { UnfinishedError } from './prepared.js';
import { datasetFolder, readSplit } from './read-split.js';
import { isSynthetic } from './synthetic.js';

/** A described data set and what of it lies under a data root. */
export interface FoundDataset {
  readonly id: string;
  readonly name: string;
  /** Where it is, or is expected. */
  readonly folder: string;
  readonly classes: number;
  /** Images of each split; empty where the data set is not there or not whole. */
  readonly images: Readonly<Record<string, number>>;
  /** Images of each split that were prepared, generated or published; empty where nothing says so. */
  readonly expected: Readonly<Record<string, number>>;
  readonly synthetic: boolean;
  /** Whether its folder is there at all. */
  readonly present: boolean;
  /** Its preparation was begun and has not come to its end. */
  readonly unfinished: boolean;
  /** Why it cannot be used, and what to do; null where it can. */
  readonly problem: string | null;
  readonly next: string | null;
}

/** Looks for every data set that the package describes. */
export async function listDatasets(dataRoot: string): Promise<FoundDataset[]> {
  const found: FoundDataset[] = [];
  for (const id of await datasetIds()) {
    const dataset = await loadDataset(id);
    const folder = datasetFolder(dataset, dataRoot);
    const base = {
      id,
      name: dataset.name,
      folder: path.resolve(folder),
      classes: dataset.classes.length,
      images: {},
      expected: dataset.published?.images ?? {},
      synthetic: isSynthetic(folder),
      present: existsSync(folder),
    };
    try {
      const images: Record<string, number> = {};
      const expected = await expectedImages(dataset, folder);
      for (const split of Object.keys(dataset.splits))
        images[split] = (await readSplit(dataset, split, dataRoot)).length;
      found.push({
        ...base,
        images,
        expected: expected.images,
        unfinished: false,
        problem: null,
        next: null,
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const unfinished = error instanceof UnfinishedError;
      found.push({ ...base, unfinished, problem: error.message, next: error.next ?? null });
    }
  }
  return found;
}
