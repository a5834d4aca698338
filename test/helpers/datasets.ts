import path from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Dataset } from '../../src/data/dataset.js';
import { loadDataset } from '../../src/data/description.js';
import { datasetFolder } from '../../src/data/split.js';
import { generateDataset } from '../../src/datasets/generate/generate.js';
import { temporaryFolder } from './folder.js';

export interface GeneratedDataset {
  readonly dataset: Dataset;
  /** Data root, and the data set's folder in it. */
  readonly dataRoot: string;
  readonly directory: string;
}

/** A small synthetic data set in a folder that is removed when the test ends; its images have `side` pixels each way. */
export async function generated(
  t: ExecutionContext,
  id: string,
  images = 8,
  side = 64,
  width = side,
): Promise<GeneratedDataset> {
  const dataRoot = await temporaryFolder(t);
  const dataset = await loadDataset(id);
  const directory = datasetFolder(dataset, dataRoot);
  await generateDataset({ dataset, directory, images, size: { height: side, width }, seed: 0, workers: 1 });
  return { dataset, dataRoot, directory };
}

/** A working folder with a few synthetic images of Cityscapes, 64×128, under its default data root: what `fcn datasets generate` makes. */
export async function cityscapesFolder(t: ExecutionContext, images = 4): Promise<string> {
  const cwd = await temporaryFolder(t);
  const dataset = await loadDataset('cityscapes');
  const directory = datasetFolder(dataset, path.join(cwd, 'data'));
  await generateDataset({ dataset, directory, images, size: { height: 64, width: 128 }, seed: 0, workers: 1 });
  return cwd;
}
