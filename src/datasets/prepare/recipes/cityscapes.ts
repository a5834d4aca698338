import { filesBy, missing, type Plan, type PlannedFile, type Recipe, requireAll } from '../recipe.js';

/** The groups: what names the file in the data set. Names hold no dot, so that none leads elsewhere. */
const IMAGE = /(?:^|\/)leftImg8bit\/((?:train|val)\/[\w-]+\/[\w-]+)_leftImg8bit\.png$/;
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
          role: (path) => (IMAGE.test(path) ? 'file' : null),
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
    const images = filesBy(pictures!, IMAGE);
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
