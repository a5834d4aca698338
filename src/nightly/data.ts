import path from 'node:path';
import { loadDataset } from '../data/datasets/description.js';
import { datasetFolder } from '../data/datasets/read-split.js';
import { generateDataset } from '../data/generate/generate.js';
import type { Size } from '../data/image.js';

/** As many validation images as a smoke run looks at: 8 of 32. */
const IMAGES = 32;
/** An eighth of the real ones, as the smoke profile divides scales and crops. */
const SIZES: Readonly<Record<string, Size>> = { cityscapes: { height: 128, width: 256 } };
const OTHER_SIZE: Size = { height: 96, width: 128 };

/** Paints the data sets that smoke runs read; the same every night. Those that are there already are left. */
export async function paintDatasets(ids: readonly string[], dataRoot: string, signal: AbortSignal): Promise<void> {
  for (const id of new Set(ids)) {
    const dataset = await loadDataset(id);
    const directory = path.resolve(datasetFolder(dataset, dataRoot));
    await generateDataset({ dataset, directory, images: IMAGES, size: SIZES[id] ?? OTHER_SIZE, seed: 0, signal });
  }
}
