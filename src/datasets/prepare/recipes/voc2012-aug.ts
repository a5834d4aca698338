import {
  type FoundPart,
  filesBy,
  listOf,
  type Plan,
  type PlannedFile,
  type Recipe,
  requireAll,
  requireList,
  requireText,
} from '../recipe.js';

const NAME = String.raw`(\d{4}_\d{6})`;
const IMAGE = new RegExp(String.raw`(?:^|/)VOC2012/JPEGImages/${NAME}\.jpg$`);
const LABEL = new RegExp(String.raw`(?:^|/)VOC2012/SegmentationClass/${NAME}\.png$`);
const LIST = /(?:^|\/)VOC2012\/ImageSets\/Segmentation\/(?:train|val)\.txt$/;
const SBD_LABEL = new RegExp(String.raw`(?:^|/)dataset/cls/${NAME}\.mat$`);
const SBD_LIST = /(?:^|\/)dataset\/(?:train|val)\.txt$/;

function copies(part: number, found: ReadonlyMap<string, string>, folder: string, suffix: string): PlannedFile[] {
  return [...found].map(([name, path]) => ({ part, path, conversion: 'copy', target: `${folder}/${name}${suffix}` }));
}

function requireLabels(voc: FoundPart, names: readonly string[], list: string): void {
  const image = (name: string) => `JPEGImages/${name}.jpg`;
  const label = (name: string) => `SegmentationClass/${name}.png`;
  requireAll(names, filesBy(voc, IMAGE), voc, image, `is not in it, but its ${list} names it`);
  requireAll(names, filesBy(voc, LABEL), voc, label, `is not in it, but its ${list} names it`);
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
          role: (path) => (LIST.test(path) ? 'list' : IMAGE.test(path) || LABEL.test(path) ? 'file' : null),
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

    const images = filesBy(voc!, IMAGE);
    const sbdLabels = filesBy(sbd!, SBD_LABEL);
    const aug = [...added];
    requireAll(aug, sbdLabels, sbd!, (name) => `dataset/cls/${name}.mat`, 'is not in it, but its lists name it');
    requireAll(aug, images, voc!, (name) => `JPEGImages/${name}.jpg`, 'is not in it, but the lists of SBD name it');
    return {
      version: 1,
      files: [
        ...copies(0, images, 'JPEGImages', '.jpg'),
        ...copies(0, filesBy(voc!, LABEL), 'SegmentationClass', '.png'),
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
