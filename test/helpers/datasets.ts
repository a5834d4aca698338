import { rmSync } from 'node:fs';
import { cp, mkdtemp } from 'node:fs/promises';
import os from 'node:os';
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

/** Data roots of the sets that this process has generated; each test gets a copy. */
const originals = new Map<string, Promise<string>>();
const roots: string[] = [];

process.on('exit', () => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

async function generate(dataset: Dataset, images: number, size: { height: number; width: number }): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'fcn-test-'));
  roots.push(root);
  await generateDataset({ dataset, directory: datasetFolder(dataset, root), images, size, seed: 0 });
  return root;
}

/** A small synthetic data set in a folder that is removed when the test ends; its images have `side` pixels each way. */
export async function generated(
  t: ExecutionContext,
  id: string,
  images = 8,
  side = 64,
  width = side,
): Promise<GeneratedDataset> {
  const dataset = await loadDataset(id);
  const key = `${id} ${images} ${side}×${width}`;
  const original = originals.get(key) ?? generate(dataset, images, { height: side, width });
  originals.set(key, original);
  const dataRoot = await temporaryFolder(t);
  await cp(await original, dataRoot, { recursive: true, preserveTimestamps: true });
  return { dataset, dataRoot, directory: datasetFolder(dataset, dataRoot) };
}

/** A working folder with a few synthetic images of Cityscapes, 64×128, under its default data root: what `fcn datasets generate` makes. */
export async function cityscapesFolder(t: ExecutionContext, images = 4): Promise<string> {
  const cwd = await temporaryFolder(t);
  const { dataRoot } = await generated(t, 'cityscapes', images, 64, 128);
  await cp(dataRoot, path.join(cwd, 'data'), { recursive: true, preserveTimestamps: true });
  return cwd;
}
