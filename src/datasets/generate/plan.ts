import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset, SplitSource } from '../../data/dataset.js';
import { SYNTHETIC_MARKER } from '../../data/markers.js';
import { UserError } from '../../support/errors.js';
import { explainFileError, writeFileAtomic } from '../../support/files.js';
import type { Imitation } from './imitations.js';

/** A form in which a painting is written: its image, or its labels as data sets hold them or as they are published. */
export type Form =
  | 'image'
  | 'labels'
  | 'cityscapes-label-ids'
  | 'cityscapes-polygons'
  | 'sbd-segmentation'
  | 'context-map'
  | 'context-regions';

/** A file of a painting. */
export interface FormedFile {
  /** Path in the generated folder. The suffix of an image decides whether it is a PNG or a JPEG. */
  readonly file: string;
  readonly form: Form;
}

/** An image to paint, and its files. */
export interface GenerateTask {
  /** In the whole set, from 0. */
  readonly index: number;
  readonly name: string;
  readonly split: string;
  readonly files: readonly FormedFile[];
}

/** An image of a synthetic data set, and the source in the description that it belongs to. */
export interface PlacedImage {
  /** In the whole set, from 0. */
  readonly index: number;
  readonly name: string;
  readonly split: string;
  readonly source: SplitSource;
}

/** Images of each split: a quarter, but at least one, for validation; the rest for training. */
function share(images: number): Record<string, number> {
  const val = Math.max(1, Math.round(images / 4));
  return { train: images - val, val };
}

/**
 * The images of a synthetic data set. The sources of a split take turns.
 * @throws UserError if there are too few images for each source to get one.
 */
export function placeImages(imitation: Imitation, dataset: Dataset, images: number): readonly PlacedImage[] {
  const placed: PlacedImage[] = [];
  for (const [split, count] of Object.entries(share(images))) {
    const sources = dataset.splits[split] ?? [];
    if (count < sources.length) {
      const least = Object.values(dataset.splits).reduce((sum, { length }) => sum + length, 0);
      throw new UserError(
        `${images} image${images === 1 ? ' is' : 's are'} too few: one for each part of each split is needed.`,
        `Give at least ${least} images.`,
      );
    }
    for (let within = 0; within < count; within++) {
      const index = placed.length;
      const source = sources[within % sources.length]!;
      placed.push({ index, name: imitation.name(split, within, index), split, source });
    }
  }
  return placed;
}

/** Images of each split. */
export function countSplits(images: readonly PlacedImage[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { split } of images) counts[split] = (counts[split] ?? 0) + 1;
  return counts;
}

interface GeneratePlan {
  readonly tasks: readonly GenerateTask[];
  /** Contents of the split lists, by path in the data set's folder. */
  readonly lists: Readonly<Record<string, string>>;
}

/** The files of a synthetic data set, with the folders, suffixes and lists of its description. */
export function planFiles(imitation: Imitation, images: readonly PlacedImage[]): GeneratePlan {
  const lists: Record<string, string> = {};
  const tasks = images.map(({ index, name, split, source }): GenerateTask => {
    const label = path.join(source.labels, name + source.labelSuffix);
    const files: FormedFile[] = [
      { file: path.join(source.images, name + source.imageSuffix), form: 'image' },
      { file: label, form: 'labels' },
    ];
    // Cityscapes' own tools read these too.
    if (imitation.id === 'cityscapes') {
      files.push({ file: label.replace('labelTrainIds', 'labelIds'), form: 'cityscapes-label-ids' });
    }
    if (source.list !== null) lists[source.list] = `${lists[source.list] ?? ''}${name}\n`;
    return { index, name, split, files };
  });
  return { tasks, lists };
}

/**
 * Marks a folder as synthetic data with these settings.
 * @param flag The flag with which the user chooses the folder.
 * @throws UserError if it holds other data.
 */
export async function claimFolder(directory: string, settings: object, flag: string): Promise<void> {
  const marker = path.join(directory, SYNTHETIC_MARKER);
  const content = `${JSON.stringify(settings, null, 2)}\n`;
  let found: string[];
  try {
    found = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, directory, 'read');
    found = [];
  }
  if (found.includes(SYNTHETIC_MARKER)) {
    if ((await readFile(marker, 'utf8')) === content) return;
    throw new UserError(
      `${directory} holds synthetic data made with other settings (see ${marker}).`,
      `Use the same number of images, size and seed, remove the folder, or choose another with ${flag}.`,
    );
  }
  if (found.length > 0) {
    throw new UserError(
      `${directory} holds data that was not generated here (${found.slice(0, 3).join(', ')}).`,
      `Synthetic data is not mixed with other data: choose another folder with ${flag}.`,
    );
  }
  await writeFileAtomic(marker, content);
}
