import { UserError } from '../../support/errors.js';
import {
  type FoundPart,
  filesBy,
  listOf,
  missing,
  type Plan,
  type PlannedFile,
  type Recipe,
  requireAll,
  requireList,
  requireText,
} from './recipe.js';

/** The groups: what names the file in the data set. Names hold no dot, so that none leads elsewhere. */
const CITYSCAPES_IMAGE = /(?:^|\/)leftImg8bit\/((?:train|val)\/[\w-]+\/[\w-]+)_leftImg8bit\.png$/;
const LABEL_IDS = /(?:^|\/)gtFine\/((?:train|val)\/[\w-]+\/[\w-]+)_gtFine_labelIds\.png$/;
const POLYGONS = /(?:^|\/)gtFine\/((?:train|val)\/[\w-]+\/[\w-]+)_gtFine_polygons\.json$/;

/** Cityscapes: images as they are; training ids from the maps of label ids, or where there are none from the polygons. */
export const cityscapes: Recipe = {
  dataset: 'cityscapes',
  parts: [
    {
      what: 'the images',
      downloads: [
        {
          file: 'leftImg8bit_trainvaltest.zip',
          name: /^leftImg8bit.*\.(zip|tar|tgz|tar\.gz)$/i,
          kind: 'archive',
          role: (path) => (CITYSCAPES_IMAGE.test(path) ? 'file' : null),
        },
      ],
    },
    {
      what: 'the fine annotations',
      downloads: [
        {
          file: 'gtFine_trainvaltest.zip',
          name: /^gtFine.*\.(zip|tar|tgz|tar\.gz)$/i,
          kind: 'archive',
          role: (path) => (LABEL_IDS.test(path) || POLYGONS.test(path) ? 'file' : null),
        },
      ],
    },
  ],
  plan: ([pictures, annotations]): Plan => {
    const images = filesBy(pictures!, CITYSCAPES_IMAGE);
    const labelIds = filesBy(annotations!, LABEL_IDS);
    const polygons = filesBy(annotations!, POLYGONS);
    const labelled = new Map([...polygons, ...labelIds]);
    const suffix = '_gtFine_labelIds.png or _gtFine_polygons.json';
    requireAll([...images.keys()], labelled, annotations!, (name) => `gtFine/${name}${suffix}`, 'is not in it');
    requireAll(
      [...labelled.keys()],
      images,
      pictures!,
      (name) => `leftImg8bit/${name}_leftImg8bit.png`,
      'is not in it, but its label is there',
    );
    const files: PlannedFile[] = [];
    for (const [name, path] of images) {
      files.push({ part: 0, path, conversion: 'copy', target: `leftImg8bit/${name}_leftImg8bit.png` });
    }
    for (const [name, path] of labelled) {
      const conversion = labelIds.has(name) ? 'cityscapes-label-ids' : 'cityscapes-polygons';
      files.push({ part: 1, path, conversion, target: `gtFine/${name}_gtFine_labelTrainIds.png` });
    }
    const count = (split: string) => [...images.keys()].filter((name) => name.startsWith(`${split}/`)).length;
    for (const split of ['train', 'val']) {
      if (count(split) === 0) throw missing(pictures!.location, `no image of leftImg8bit/${split}`, 'is in it');
    }
    // Version 1 drew polygons otherwise: maps of ids give the same files as then.
    const version = [...labelled.keys()].every((name) => labelIds.has(name)) ? 1 : 2;
    return { version, files, lists: {}, images: { train: count('train'), val: count('val') } };
  },
};

const PASCAL_NAME = String.raw`(\d{4}_\d{6})`;
const VOC_IMAGE = new RegExp(String.raw`(?:^|/)VOC2012/JPEGImages/${PASCAL_NAME}\.jpg$`);
const VOC_LABEL = new RegExp(String.raw`(?:^|/)VOC2012/SegmentationClass/${PASCAL_NAME}\.png$`);
const VOC_LIST = /(?:^|\/)VOC2012\/ImageSets\/Segmentation\/(?:train|val)\.txt$/;
const SBD_LABEL = new RegExp(String.raw`(?:^|/)dataset/cls/${PASCAL_NAME}\.mat$`);
const SBD_LIST = /(?:^|\/)dataset\/(?:train|val)\.txt$/;

function copies(part: number, found: ReadonlyMap<string, string>, folder: string, suffix: string): PlannedFile[] {
  return [...found].map(([name, path]) => ({ part, path, conversion: 'copy', target: `${folder}/${name}${suffix}` }));
}

function requireLabels(voc: FoundPart, names: readonly string[], list: string): void {
  const image = (name: string) => `JPEGImages/${name}.jpg`;
  const label = (name: string) => `SegmentationClass/${name}.png`;
  requireAll(names, filesBy(voc, VOC_IMAGE), voc, image, `is not in it, but its ${list} names it`);
  requireAll(names, filesBy(voc, VOC_LABEL), voc, label, `is not in it, but its ${list} names it`);
}

/**
 * Pascal VOC 2012 with the labels of SBD: VOC's own images, labels and lists as they are; SBD's label maps as PNGs; the list
 * of added images: those of SBD's train and val lists that are neither in VOC's train nor in its val list.
 */
export const voc2012Aug: Recipe = {
  dataset: 'voc2012-aug',
  parts: [
    {
      what: 'the images and labels of VOC 2012',
      downloads: [
        {
          file: 'VOCtrainval_11-May-2012.tar',
          name: /^VOCtrainval.*2012.*\.(zip|tar|tgz|tar\.gz)$/i,
          kind: 'archive',
          role: (path) => (VOC_LIST.test(path) ? 'list' : VOC_IMAGE.test(path) || VOC_LABEL.test(path) ? 'file' : null),
        },
      ],
    },
    {
      what: 'the labels of SBD',
      downloads: [
        {
          file: 'benchmark.tgz',
          name: /^(benchmark|sbd).*\.(zip|tar|tgz|tar\.gz)$/i,
          kind: 'archive',
          role: (path) => (SBD_LIST.test(path) ? 'list' : SBD_LABEL.test(path) ? 'file' : null),
        },
      ],
    },
  ],
  plan: ([voc, sbd]): Plan => {
    const train = requireList(voc!, 'ImageSets/Segmentation/train.txt');
    const val = requireList(voc!, 'ImageSets/Segmentation/val.txt');
    requireLabels(voc!, train, 'ImageSets/Segmentation/train.txt');
    requireLabels(voc!, val, 'ImageSets/Segmentation/val.txt');
    const added = new Set([...requireList(sbd!, 'dataset/train.txt'), ...requireList(sbd!, 'dataset/val.txt')]);
    for (const name of [...train, ...val]) added.delete(name);

    const images = filesBy(voc!, VOC_IMAGE);
    const sbdLabels = filesBy(sbd!, SBD_LABEL);
    const aug = [...added];
    requireAll(aug, sbdLabels, sbd!, (name) => `dataset/cls/${name}.mat`, 'is not in it, but its lists name it');
    requireAll(aug, images, voc!, (name) => `JPEGImages/${name}.jpg`, 'is not in it, but the lists of SBD name it');
    return {
      version: 1,
      files: [
        ...copies(0, images, 'JPEGImages', '.jpg'),
        ...copies(0, filesBy(voc!, VOC_LABEL), 'SegmentationClass', '.png'),
        ...[...sbdLabels].map(
          ([name, path]): PlannedFile => ({
            part: 1,
            path,
            conversion: 'sbd-segmentation',
            target: `SegmentationClassAug/${name}.png`,
          }),
        ),
      ],
      lists: {
        // As they are.
        'ImageSets/Segmentation/train.txt': requireText(voc!, 'ImageSets/Segmentation/train.txt'),
        'ImageSets/Segmentation/val.txt': requireText(voc!, 'ImageSets/Segmentation/val.txt'),
        'ImageSets/Segmentation/aug.txt': listOf(aug),
        'ImageSets/Segmentation/trainaug.txt': listOf([...train, ...aug]),
      },
      images: { train: train.length + aug.length, val: val.length },
    };
  },
};

const CONTEXT_IMAGE = new RegExp(String.raw`(?:^|/)VOC2010/JPEGImages/${PASCAL_NAME}\.jpg$`);
const CONTEXT_LIST = /(?:^|\/)VOC2010\/ImageSets\/Main\/(?:train|val)\.txt$/;
const CONTEXT_MAP = new RegExp(String.raw`(?:^|/)trainval/${PASCAL_NAME}\.mat$`);
const CONTEXT_REGIONS = new RegExp(String.raw`^regions/${PASCAL_NAME}\.json$`);

/**
 * Pascal Context, for both of its data sets: the images of VOC 2010 that have labels; the labels as PNGs of class ids 0 to
 * 59, from the merged JSON file, which the published figures are of, or the label maps of 459 classes; the lists of the JSON
 * file, or else VOC 2010's own train and val lists as far as there are label maps.
 */
export const pascalContext: Recipe = {
  dataset: 'pascal-context',
  parts: [
    {
      what: 'the images of VOC 2010',
      downloads: [
        {
          file: 'VOCtrainval_03-May-2010.tar',
          name: /^VOCtrainval.*2010.*\.(zip|tar|tgz|tar\.gz)$/i,
          kind: 'archive',
          role: (path) => (CONTEXT_LIST.test(path) ? 'list' : CONTEXT_IMAGE.test(path) ? 'file' : null),
        },
      ],
    },
    {
      what: 'the labels of Pascal Context',
      downloads: [
        {
          file: 'trainval_merged.json',
          name: /^trainval_merged.*\.(json|json\.gz|zip|tar|tgz|tar\.gz)$/i,
          kind: 'context-json',
          role: () => null,
        },
        {
          file: 'trainval.tar.gz',
          name: /^trainval.*\.(zip|tar|tgz|tar\.gz)$/i,
          kind: 'archive',
          role: (path) => (CONTEXT_MAP.test(path) ? 'file' : null),
          otherSource: 'label-maps',
        },
      ],
    },
  ],
  plan: ([voc, labels]): Plan => {
    const regions = filesBy(labels!, CONTEXT_REGIONS);
    const maps = filesBy(labels!, CONTEXT_MAP);
    const merged = regions.size > 0;
    const labelled = merged ? regions : maps;
    const listed = (split: string) =>
      merged
        ? requireList(labels!, `${split}.txt`)
        : requireList(voc!, `ImageSets/Main/${split}.txt`).filter((name) => maps.has(name));
    const train = listed('train');
    const val = listed('val');
    const images = filesBy(voc!, CONTEXT_IMAGE);
    const names = [...train, ...val];
    requireAll(names, images, voc!, (name) => `JPEGImages/${name}.jpg`, 'is not in it, but it has a label');
    const used = (
      part: number,
      from: ReadonlyMap<string, string>,
      rest: (name: string) => Omit<PlannedFile, 'part' | 'path'>,
    ) => names.map((name): PlannedFile => ({ part, path: from.get(name)!, ...rest(name) }));
    return {
      version: 1,
      files: [
        ...used(0, images, (name) => ({ conversion: 'copy', target: `JPEGImages/${name}.jpg` })),
        ...used(1, labelled, (name) => ({
          conversion: merged ? 'context-regions' : 'context-map',
          target: `SegmentationClassContext/${name}.png`,
        })),
      ],
      lists: {
        'ImageSets/SegmentationContext/train.txt': listOf(train),
        'ImageSets/SegmentationContext/val.txt': listOf(val),
      },
      images: { train: train.length, val: val.length },
    };
  },
};

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
