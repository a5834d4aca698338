import { UserError } from '../../support/errors.js';
import {
  archiveDownload,
  type FileConversion,
  type FoundPart,
  filesBy,
  listOf,
  missing,
  type PlannedFile,
  type PreparationRecipe,
  requireAll,
  requireList,
  requireText,
} from './recipe.js';

/** Files of a part, given by name and path, as files FOLDER/NAME + SUFFIX of the data set. */
function planFiles(
  part: number,
  found: Iterable<readonly [name: string, path: string]>,
  folder: string,
  suffix: string,
  conversion: FileConversion = 'copy',
): PlannedFile[] {
  return [...found].map(([name, path]) => ({ part, path, conversion, target: `${folder}/${name}${suffix}` }));
}

/**
 * Number of images of each split.
 * @param folders Folder of each split below `top`: what the names of its images begin with.
 * @throws UserError if a split has none.
 */
function countImages(
  { location }: FoundPart,
  images: ReadonlyMap<string, string>,
  top: string,
  folders: Readonly<Record<string, string>>,
): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [split, folder] of Object.entries(folders)) {
    counts[split] = [...images.keys()].filter((name) => name.startsWith(`${folder}/`)).length;
    if (counts[split] === 0) throw missing(location, `no image of ${top}/${folder}`, 'is in it');
  }
  return counts;
}

/** The first group of each pattern names the file in the data set. Names hold no dot, so that none leads elsewhere. */
const CITYSCAPES_IMAGE = /(?:^|\/)leftImg8bit\/((?:train|val)\/[\w-]+\/[\w-]+)_leftImg8bit\.png$/;
const LABEL_IDS = /(?:^|\/)gtFine\/((?:train|val)\/[\w-]+\/[\w-]+)_gtFine_labelIds\.png$/;
const POLYGONS = /(?:^|\/)gtFine\/((?:train|val)\/[\w-]+\/[\w-]+)_gtFine_polygons\.json$/;

/** Cityscapes: images are copied; training ids come from the maps of label ids, or from the polygons if there is no map. */
const cityscapes: PreparationRecipe = {
  dataset: 'cityscapes',
  parts: [
    {
      what: 'the images',
      downloads: [archiveDownload('leftImg8bit_trainvaltest.zip', 'leftImg8bit', [CITYSCAPES_IMAGE])],
    },
    {
      what: 'the fine annotations',
      downloads: [archiveDownload('gtFine_trainvaltest.zip', 'gtFine', [LABEL_IDS, POLYGONS])],
    },
  ],
  plan: ([pictures, annotations]) => {
    const images = filesBy(pictures!, CITYSCAPES_IMAGE);
    const labelIds = filesBy(annotations!, LABEL_IDS);
    const polygons = filesBy(annotations!, POLYGONS);
    const labelled = new Map([...polygons, ...labelIds]);
    const labelOf = (name: string) => `gtFine/${name}_gtFine_labelIds.png or _gtFine_polygons.json`;
    const imageOf = (name: string) => `leftImg8bit/${name}_leftImg8bit.png`;
    requireAll([...images.keys()], labelled, annotations!, labelOf, 'is not in it');
    requireAll([...labelled.keys()], images, pictures!, imageOf, 'is not in it, but its label is there');
    const drawn = [...polygons].filter(([name]) => !labelIds.has(name));
    return {
      // Version 1 drew polygons differently; maps of label ids give the same files in both.
      version: drawn.length === 0 ? 1 : 2,
      files: [
        ...planFiles(0, images, 'leftImg8bit', '_leftImg8bit.png'),
        ...planFiles(1, labelIds, 'gtFine', '_gtFine_labelTrainIds.png', 'cityscapes-label-ids'),
        ...planFiles(1, drawn, 'gtFine', '_gtFine_labelTrainIds.png', 'cityscapes-polygons'),
      ],
      lists: {},
      images: countImages(pictures!, images, 'leftImg8bit', { train: 'train', val: 'val' }),
    };
  },
};

const PASCAL_NAME = String.raw`(\d{4}_\d{6})`;
const VOC_IMAGE = new RegExp(String.raw`(?:^|/)VOC2012/JPEGImages/${PASCAL_NAME}\.jpg$`);
const VOC_LABEL = new RegExp(String.raw`(?:^|/)VOC2012/SegmentationClass/${PASCAL_NAME}\.png$`);
const VOC_LIST = /(?:^|\/)VOC2012\/ImageSets\/Segmentation\/(?:train|val)\.txt$/;
const SBD_LABEL = new RegExp(String.raw`(?:^|/)dataset/cls/${PASCAL_NAME}\.mat$`);
const SBD_LIST = /(?:^|\/)dataset\/(?:train|val)\.txt$/;
const VOC_TRAIN = 'ImageSets/Segmentation/train.txt';
const VOC_VAL = 'ImageSets/Segmentation/val.txt';

const pascalImage = (name: string) => `JPEGImages/${name}.jpg`;

/**
 * Pascal VOC 2012 with the labels of SBD: VOC's own images, labels and lists are copied; SBD's label maps become PNGs. The list
 * of added images has those of SBD's train and val lists that are neither in VOC's train nor in its val list.
 */
const voc2012Aug: PreparationRecipe = {
  dataset: 'voc2012-aug',
  parts: [
    {
      what: 'the images and labels of VOC 2012',
      downloads: [
        archiveDownload('VOCtrainval_11-May-2012.tar', 'VOCtrainval.*2012', [VOC_IMAGE, VOC_LABEL], VOC_LIST),
      ],
    },
    {
      what: 'the labels of SBD',
      downloads: [archiveDownload('benchmark.tgz', '(benchmark|sbd)', [SBD_LABEL], SBD_LIST)],
    },
  ],
  plan: ([voc, sbd]) => {
    const images = filesBy(voc!, VOC_IMAGE);
    const labels = filesBy(voc!, VOC_LABEL);
    const sbdLabels = filesBy(sbd!, SBD_LABEL);
    const [train, val] = [requireList(voc!, VOC_TRAIN), requireList(voc!, VOC_VAL)];
    for (const [names, list] of [[train, VOC_TRAIN] as const, [val, VOC_VAL] as const]) {
      const why = `is not in it, but its ${list} names it`;
      requireAll(names, images, voc!, pascalImage, why);
      requireAll(names, labels, voc!, (name) => `SegmentationClass/${name}.png`, why);
    }
    const added = new Set([...requireList(sbd!, 'dataset/train.txt'), ...requireList(sbd!, 'dataset/val.txt')]);
    for (const name of [...train, ...val]) added.delete(name);
    const aug = [...added];
    requireAll(aug, sbdLabels, sbd!, (name) => `dataset/cls/${name}.mat`, 'is not in it, but its lists name it');
    requireAll(aug, images, voc!, pascalImage, 'is not in it, but the lists of SBD name it');
    return {
      version: 1,
      files: [
        ...planFiles(0, images, 'JPEGImages', '.jpg'),
        ...planFiles(0, labels, 'SegmentationClass', '.png'),
        ...planFiles(1, sbdLabels, 'SegmentationClassAug', '.png', 'sbd-segmentation'),
      ],
      lists: {
        [VOC_TRAIN]: requireText(voc!, VOC_TRAIN),
        [VOC_VAL]: requireText(voc!, VOC_VAL),
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
 * Pascal Context, for both of its data sets: the images of VOC 2010 that have labels, and the labels as PNGs of class ids 0 to
 * 59. Labels and lists come from the merged JSON file, on which the published figures are based; or the labels from the maps of
 * 459 classes, and the lists from VOC 2010's train and val lists, without images that have no map.
 */
const pascalContext: PreparationRecipe = {
  dataset: 'pascal-context',
  parts: [
    {
      what: 'the images of VOC 2010',
      downloads: [archiveDownload('VOCtrainval_03-May-2010.tar', 'VOCtrainval.*2010', [CONTEXT_IMAGE], CONTEXT_LIST)],
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
        { ...archiveDownload('trainval.tar.gz', 'trainval', [CONTEXT_MAP]), otherSource: 'label-maps' },
      ],
    },
  ],
  plan: ([voc, labels]) => {
    const regions = filesBy(labels!, CONTEXT_REGIONS);
    const maps = filesBy(labels!, CONTEXT_MAP);
    const merged = regions.size > 0;
    const listed = (split: string) =>
      merged
        ? requireList(labels!, `${split}.txt`)
        : requireList(voc!, `ImageSets/Main/${split}.txt`).filter((name) => maps.has(name));
    const [train, val] = [listed('train'), listed('val')];
    const names = [...train, ...val];
    const images = filesBy(voc!, CONTEXT_IMAGE);
    requireAll(names, images, voc!, pascalImage, 'is not in it, but it has a label');
    const pick = (from: ReadonlyMap<string, string>) => names.map((name) => [name, from.get(name)!] as const);
    const [labelled, conversion] = merged ? ([regions, 'context-regions'] as const) : ([maps, 'context-map'] as const);
    return {
      version: 1,
      files: [
        ...planFiles(0, pick(images), 'JPEGImages', '.jpg'),
        ...planFiles(1, pick(labelled), 'SegmentationClassContext', '.png', conversion),
      ],
      lists: {
        'ImageSets/SegmentationContext/train.txt': listOf(train),
        'ImageSets/SegmentationContext/val.txt': listOf(val),
      },
      images: { train: train.length, val: val.length },
    };
  },
};

/**
 * A data set that is published as it is used: one archive or folder of images/FOLDER/*.jpg and annotations/FOLDER/*.png.
 * @param begins As for `archiveDownload`.
 * @param folders Folder of each split, below `images` and `annotations`.
 */
function copiedDataset(
  dataset: string,
  file: string,
  begins: string,
  folders: Readonly<Record<string, string>>,
): PreparationRecipe {
  const anyFolder = Object.values(folders).join('|');
  const image = new RegExp(String.raw`(?:^|/)images/((?:${anyFolder})/[\w-]+)\.jpg$`);
  const label = new RegExp(String.raw`(?:^|/)annotations/((?:${anyFolder})/[\w-]+)\.png$`);
  const halves = [image, label].map((half) => archiveDownload(file, begins, [half]).role);
  return {
    dataset,
    parts: [
      {
        what: 'the images and labels',
        downloads: [{ ...archiveDownload(file, begins, [image, label]), halves }],
      },
    ],
    plan: ([part]) => {
      const images = filesBy(part!, image);
      const labels = filesBy(part!, label);
      const labelOf = (name: string) => `annotations/${name}.png`;
      const imageOf = (name: string) => `images/${name}.jpg`;
      requireAll([...images.keys()], labels, part!, labelOf, 'is not in it, but its image is there');
      requireAll([...labels.keys()], images, part!, imageOf, 'is not in it, but its label is there');
      return {
        version: 1,
        files: [...planFiles(0, images, 'images', '.jpg'), ...planFiles(0, labels, 'annotations', '.png')],
        lists: {},
        images: countImages(part!, images, 'images', folders),
      };
    },
  };
}

/** The recipe of each data set; Pascal Context's two data sets share one. */
const RECIPES: Readonly<Record<string, PreparationRecipe>> = {
  ade20k: copiedDataset('ade20k', 'ADEChallengeData2016.zip', 'ADEChallengeData2016', {
    train: 'training',
    val: 'validation',
  }),
  camvid: copiedDataset('camvid', 'camvid.zip', 'camvid', { train: 'train', val: 'val' }),
  cityscapes,
  'pascal-context': pascalContext,
  'pascal-context-59': pascalContext,
  'voc2012-aug': voc2012Aug,
};

/** Ids of the data sets that can be prepared. */
export const PREPARABLE: readonly string[] = Object.keys(RECIPES);

/** @throws UserError for a data set without a recipe. */
export function recipeOf(dataset: string): PreparationRecipe {
  const recipe = RECIPES[dataset];
  if (recipe) return recipe;
  throw new UserError(`No preparation is known for "${dataset}".`, `Give one of ${PREPARABLE.join(', ')}.`);
}
