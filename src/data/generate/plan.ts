import path from 'node:path';
import { UserError } from '../../support/errors.js';
import type { Dataset } from '../datasets/dataset.js';
import type { Imitation } from './imitations.js';

/** One image to paint: its number, and its files relative to the data set's folder. */
export interface GenerateTask {
  readonly index: number;
  readonly image: string;
  readonly label: string;
  /** Cityscapes' label ids; null in other data sets. */
  readonly labelIds: string | null;
}

export interface GeneratePlan {
  readonly tasks: readonly GenerateTask[];
  /** Images of each split. */
  readonly splits: Readonly<Record<string, number>>;
  /** Contents of the split lists by path, relative to the data set's folder. */
  readonly lists: Readonly<Record<string, string>>;
}

/** A quarter for validation, but one at least; the rest for training. */
function share(images: number): Record<string, number> {
  const val = Math.max(1, Math.round(images / 4));
  return { train: images - val, val };
}

/**
 * Which files the images of a synthetic data set become. The folders, suffixes and lists are those of the description; a split
 * of several sources deals its images to them in turn.
 * @throws UserError where there are too few images for each source to get one.
 */
export function plan(imitation: Imitation, dataset: Dataset, images: number): GeneratePlan {
  const splits = share(images);
  const tasks: GenerateTask[] = [];
  const lists: Record<string, string> = {};
  for (const [split, count] of Object.entries(splits)) {
    const sources = dataset.splits[split] ?? [];
    if (count < sources.length) {
      const least = Object.values(dataset.splits).reduce((sum, { length }) => sum + length, 0);
      throw new UserError(
        `${images} image${images === 1 ? ' is' : 's are'} too few: one for each part of each split is needed.`,
        `Give at least ${least} images.`,
      );
    }
    for (let within = 0; within < count; within++) {
      const index = tasks.length;
      const source = sources[within % sources.length]!;
      const name = imitation.name(split, within, index);
      const label = path.join(source.labels, name + source.labelSuffix);
      tasks.push({
        index,
        image: path.join(source.images, name + source.imageSuffix),
        label,
        labelIds: imitation.id === 'cityscapes' ? label.replace('labelTrainIds', 'labelIds') : null,
      });
      if (source.list !== null) lists[source.list] = `${lists[source.list] ?? ''}${name}\n`;
    }
  }
  return { tasks, splits, lists };
}
