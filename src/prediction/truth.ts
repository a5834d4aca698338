import path from 'node:path';
import type { Dataset } from '../data/datasets/dataset.js';
import { listFiles } from '../data/datasets/walk.js';
import type { Size } from '../data/image.js';
import { readLabels } from '../data/samples/load.js';
import { UserError } from '../support/errors.js';
import { isFolder, type Source } from './sources.js';

/** Paths below the labels' folder under which an image's label may lie: its own name, or as the data set names its labels. */
function labelNames({ file, name }: Source, { splits }: Dataset): string[] {
  const full = `${name}${path.extname(file)}`;
  const named = Object.values(splits)
    .flat()
    .filter(({ imageSuffix }) => full.endsWith(imageSuffix))
    .map(({ imageSuffix, labelSuffix }) => `${full.slice(0, -imageSuffix.length)}${labelSuffix}`);
  return [...new Set([`${name}.png`, ...named])];
}

/**
 * The ground truth of each source: the one file that is given, or those of a folder, found by the images' names.
 * @throws UserError where an image has none.
 */
export async function findTruths(truth: string, sources: readonly Source[], dataset: Dataset): Promise<string[]> {
  if (!(await isFolder(truth))) {
    if (sources.length === 1) return [truth];
    throw new UserError(
      `--truth ${truth} is one file, and there are ${sources.length} images.`,
      'Give the folder that holds the ground truth of each.',
    );
  }
  const present = new Set(await listFiles(truth));
  return sources.map((source) => {
    const names = labelNames(source, dataset);
    const found = names.find((name) => present.has(name));
    if (found !== undefined) return path.join(truth, found);
    throw new UserError(
      `${source.file} has no ground truth in ${truth}: expected ${names.join(' or ')}.`,
      'Give only images that have one, or leave out --truth.',
    );
  });
}

/**
 * Reads a ground truth: [height, width], training ids, 255 where ignored.
 * @throws UserError naming the file where it cannot be decoded, holds a wrong value, or is not as large as its image.
 */
export async function readTruth(file: string, dataset: Dataset, image: Size): Promise<Uint8Array> {
  const labels = await readLabels(file, dataset);
  if (labels.width !== image.width || labels.height !== image.height) {
    throw new UserError(
      `${file} is ${labels.width}×${labels.height} pixels, but its image is ${image.width}×${image.height}.`,
      'An image and its ground truth must be of the same size.',
    );
  }
  return labels.data;
}
