import { UserError } from '../../../support/errors.js';
import { filesBy, missing, type Plan, type PlannedFile, type Recipe, requireAll } from '../recipe.js';
import { cityscapes } from './cityscapes.js';
import { pascalContext } from './pascal-context.js';
import { voc2012Aug } from './voc2012-aug.js';

interface PlainOptions {
  readonly dataset: string;
  /** Name of the published archive, and names that it may have here. */
  readonly file: string;
  readonly name: RegExp;
  /** Folders of each split, below `images` and `annotations`. */
  readonly splits: Readonly<Record<string, string>>;
}

/** A data set that is published as it is used: one archive or folder of images/FOLDER/*.jpg and annotations/FOLDER/*.png. */
function plain({ dataset, file, name, splits }: PlainOptions): Recipe {
  const folders = Object.values(splits).join('|');
  const image = new RegExp(String.raw`(?:^|/)images/((?:${folders})/[\w-]+)\.jpg$`);
  const label = new RegExp(String.raw`(?:^|/)annotations/((?:${folders})/[\w-]+)\.png$`);
  return {
    dataset,
    parts: [
      {
        what: 'the images and labels',
        downloads: [
          {
            file,
            name,
            kind: 'archive',
            role: (path) => (image.test(path) || label.test(path) ? 'file' : null),
            halves: [image, label].map((half) => (path: string) => (half.test(path) ? 'file' : null)),
          },
        ],
      },
    ],
    plan: ([part]): Plan => {
      const images = filesBy(part!, image);
      const labels = filesBy(part!, label);
      const labelOf = (key: string) => `annotations/${key}.png`;
      const imageOf = (key: string) => `images/${key}.jpg`;
      requireAll([...images.keys()], labels, part!, labelOf, 'is not in it, but its image is there');
      requireAll([...labels.keys()], images, part!, imageOf, 'is not in it, but its label is there');
      const copy = (path: string, target: string): PlannedFile => ({ part: 0, path, conversion: 'copy', target });
      const counts = Object.entries(splits).map(([split, folder]) => {
        const count = [...images.keys()].filter((key) => key.startsWith(`${folder}/`)).length;
        if (count === 0) throw missing(part!.location, `no image of images/${folder}`, 'is in it');
        return [split, count] as const;
      });
      return {
        version: 1,
        files: [
          ...[...images].map(([key, path]) => copy(path, imageOf(key))),
          ...[...labels].map(([key, path]) => copy(path, labelOf(key))),
        ],
        lists: {},
        images: Object.fromEntries(counts),
      };
    },
  };
}

export const ade20k = plain({
  dataset: 'ade20k',
  file: 'ADEChallengeData2016.zip',
  name: /^ADEChallengeData2016.*\.(zip|tar|tgz|tar\.gz)$/i,
  splits: { train: 'training', val: 'validation' },
});

export const camvid = plain({
  dataset: 'camvid',
  file: 'camvid.zip',
  name: /^camvid.*\.(zip|tar|tgz|tar\.gz)$/i,
  splits: { train: 'train', val: 'val' },
});

/** The recipe of each data set; Pascal Context's two share theirs. */
const RECIPES: Readonly<Record<string, Recipe>> = {
  ade20k,
  camvid,
  cityscapes,
  'pascal-context': pascalContext,
  'pascal-context-59': pascalContext,
  'voc2012-aug': voc2012Aug,
};

/** Ids of the data sets that can be prepared. */
export const PREPARABLE: readonly string[] = Object.keys(RECIPES);

/** @throws UserError for a data set that has none. */
export function recipeOf(dataset: string): Recipe {
  const recipe = RECIPES[dataset];
  if (recipe) return recipe;
  throw new UserError(`No preparation is known for "${dataset}".`, `Give one of ${PREPARABLE.join(', ')}.`);
}
