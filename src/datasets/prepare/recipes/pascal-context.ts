import { filesBy, listOf, type Plan, type PlannedFile, type Recipe, requireAll, requireList } from '../recipe.js';

const NAME = String.raw`(\d{4}_\d{6})`;
const IMAGE = new RegExp(String.raw`(?:^|/)VOC2010/JPEGImages/${NAME}\.jpg$`);
const LIST = /(?:^|\/)VOC2010\/ImageSets\/Main\/(?:train|val)\.txt$/;
const MAP = new RegExp(String.raw`(?:^|/)trainval/${NAME}\.mat$`);
const REGIONS = new RegExp(String.raw`^regions/${NAME}\.json$`);

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
          role: (path) => (LIST.test(path) ? 'list' : IMAGE.test(path) ? 'file' : null),
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
          role: (path) => (MAP.test(path) ? 'file' : null),
          otherSource: 'label-maps',
        },
      ],
    },
  ],
  plan: ([voc, labels]): Plan => {
    const regions = filesBy(labels!, REGIONS);
    const maps = filesBy(labels!, MAP);
    const merged = regions.size > 0;
    const labelled = merged ? regions : maps;
    const listed = (split: string) =>
      merged
        ? requireList(labels!, `${split}.txt`)
        : requireList(voc!, `ImageSets/Main/${split}.txt`).filter((name) => maps.has(name));
    const train = listed('train');
    const val = listed('val');
    const images = filesBy(voc!, IMAGE);
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
