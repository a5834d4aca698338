import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { encodeJpeg } from '../../src/data/decode.js';
import type { LabelMap } from '../../src/data/image.js';
import type { SyntheticSettings } from '../../src/data/markers.js';
import { encodePng } from '../../src/data/png-write.js';
import { packRuns, runLengths } from '../../src/datasets/generate/raw/labels.js';
import { labelMatrix, writeMatlab } from '../../src/datasets/generate/raw/matlab-write.js';
import { zip } from './zip.js';

/** Small downloads of a data set, and the expected result of their preparation. */
export interface RawDownloads {
  readonly dataset: string;
  /** Folder of the data set under the data root. */
  readonly folder: string;
  /** Members of each archive by its name; a JSON file has one member, '', itself. */
  readonly archives: Record<string, Record<string, Uint8Array | string>>;
  /** Expected raw labels by path in the data set's folder. */
  readonly labels: Record<string, LabelMap>;
  /** Expected text of each list. */
  readonly lists: Record<string, string>;
  readonly images: Record<string, number>;
  /** Images in `synthetic.json`, if it belongs to another source. */
  readonly marked?: Record<string, number>;
}

const SIZE = { height: 6, width: 9 };

/** Pixels of an image, different for each number. */
const picture = (seed: number) => ({ ...SIZE, data: new Uint8Array(SIZE.height * SIZE.width * 3).fill(seed * 7) });
const jpeg = (seed: number) => encodeJpeg(picture(seed), 90);
const png = (seed: number) => encodePng(picture(seed).data, SIZE, { colourType: 'rgb', filter: 'sub', level: 1 });
const grey = (map: LabelMap) => encodePng(map.data, map, { colourType: 'grey', filter: 'none', level: 1 });

/** A label map whose values depend on a number and the pixel. */
function labels(seed: number, value: (i: number) => number): LabelMap {
  const data = Uint8Array.from({ length: SIZE.height * SIZE.width }, (_, i) => value(i * 5 + seed * 11));
  return { ...SIZE, data };
}

const lines = (names: readonly string[]) => names.map((name) => `${name}\n`).join('');

const TRAINING_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33];

/** The label of every other image is given by polygons: the left part is a road, a part of it a person. */
export async function rawCityscapes(): Promise<RawDownloads> {
  const images: Record<string, Uint8Array> = {};
  const annotations: Record<string, Uint8Array | string> = {};
  const expected: Record<string, LabelMap> = {};
  const names = ['train/aachen/aachen_000000_000019', 'train/bochum/bochum_000000_000019', 'val/ulm/ulm_000001_000019'];
  for (const [seed, name] of names.entries()) {
    images[`leftImg8bit/${name}_leftImg8bit.png`] = await png(seed);
    const ids = labels(seed, (i) => i % 34);
    annotations[`gtFine/${name}_gtFine_instanceIds.png`] = 'not looked at';
    const target = `gtFine/${name}_gtFine_labelTrainIds.png`;
    if (seed % 2 === 0) {
      annotations[`gtFine/${name}_gtFine_labelIds.png`] = await grey(ids);
      const trainingId = (id: number) => (TRAINING_IDS.includes(id) ? TRAINING_IDS.indexOf(id) : 255);
      expected[target] = { ...SIZE, data: ids.data.map(trainingId) };
    } else {
      const box = (left: number, top: number, right: number, bottom: number) => [
        [left, top],
        [right, top],
        [right, bottom],
        [left, bottom],
      ];
      annotations[`gtFine/${name}_gtFine_polygons.json`] = JSON.stringify({
        imgHeight: SIZE.height,
        imgWidth: SIZE.width,
        objects: [
          { label: 'road', polygon: box(0, 0, 4, 5) },
          { label: 'persongroup', polygon: box(2, 1, 3, 2) },
          { label: 'sky', polygon: box(0, 0, 8, 5), deleted: 1 },
        ],
      });
      const data = new Uint8Array(SIZE.height * SIZE.width).map((_, i) => {
        const [x, y] = [i % SIZE.width, Math.floor(i / SIZE.width)];
        if (x > 4) return 255;
        return x >= 2 && x <= 3 && y >= 1 && y <= 2 ? 11 : 0;
      });
      expected[target] = { ...SIZE, data };
    }
  }
  images['leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png'] = await png(99);
  images['license.txt'] = Buffer.from('not looked at');
  return {
    dataset: 'cityscapes',
    folder: 'cityscapes',
    archives: { 'leftImg8bit_trainvaltest.zip': images, 'gtFine_trainvaltest.zip': annotations },
    labels: expected,
    lists: {},
    images: { train: 2, val: 1 },
  };
}

const name = (index: number) => `2008_${String(index).padStart(6, '0')}`;

/** Six images: 1 and 2 VOC's train, 3 its val; SBD has 1 (VOC's train too), 3 (its val too), 4 and 5. */
export async function rawVoc(): Promise<RawDownloads> {
  const top = 'VOCdevkit/VOC2012';
  const voc: Record<string, Uint8Array | string> = {
    [`${top}/ImageSets/Segmentation/train.txt`]: lines([name(2), name(1)]),
    [`${top}/ImageSets/Segmentation/val.txt`]: lines([name(3)]),
    [`${top}/ImageSets/Segmentation/trainval.txt`]: 'not looked at',
    [`${top}/Annotations/${name(1)}.xml`]: 'not looked at',
  };
  const sbd: Record<string, Uint8Array | string> = {
    'benchmark_RELEASE/dataset/train.txt': lines([name(1), name(4)]),
    'benchmark_RELEASE/dataset/val.txt': `${name(3)}\r\n${name(5)}`,
    [`benchmark_RELEASE/dataset/inst/${name(4)}.mat`]: 'not looked at',
  };
  const expected: Record<string, LabelMap> = {};
  for (let i = 1; i <= 6; i++) {
    voc[`${top}/JPEGImages/${name(i)}.jpg`] = await jpeg(i);
    const map = labels(i, (value) => [...Array(21).keys(), 255][value % 22]!);
    if (i <= 3) {
      voc[`${top}/SegmentationClass/${name(i)}.png`] = await grey(map);
      expected[`SegmentationClass/${name(i)}.png`] = map;
    }
    if (i !== 2 && i < 6) {
      const plain = labels(i, (value) => value % 21);
      const segmentation = labelMatrix(plain, i === 4 ? 'float64' : 'uint8');
      const boundaries = { cells: [{ text: 'none' }], dimensions: [1, 1] };
      sbd[`benchmark_RELEASE/dataset/cls/${name(i)}.mat`] = writeMatlab(
        { GTcls: { struct: { Boundaries: boundaries, Segmentation: segmentation } } },
        { compressed: i !== 5, small: true },
      );
      expected[`SegmentationClassAug/${name(i)}.png`] = plain;
    }
  }
  return {
    dataset: 'voc2012-aug',
    folder: 'VOCdevkit/VOC2012',
    archives: { 'VOCtrainval_11-May-2012.tar': voc, 'benchmark.tgz': sbd },
    labels: expected,
    lists: {
      'ImageSets/Segmentation/train.txt': lines([name(2), name(1)]),
      'ImageSets/Segmentation/val.txt': lines([name(3)]),
      'ImageSets/Segmentation/aug.txt': lines([name(4), name(5)]),
      'ImageSets/Segmentation/trainaug.txt': lines([name(1), name(2), name(4), name(5)]),
    },
    images: { train: 4, val: 1 },
  };
}

/** Source ids of some classes, and the classes. */
const CONTEXT = { sources: [0, 2, 9, 18, 415, 458], classes: [0, 1, 2, 3, 51, 59] };

/**
 * Images 1 to 3 with labels, and 4 without. `merged`: the labels as the one JSON file; else as label maps, which 5 to 7 have, too:
 * as the published ones, two more for training and one more for validation.
 */
export async function rawContext(merged: boolean): Promise<RawDownloads> {
  const top = 'VOCdevkit/VOC2010';
  const voc: Record<string, Uint8Array | string> = {
    [`${top}/ImageSets/Main/train.txt`]: lines([name(1), name(3), name(5), name(6)]),
    [`${top}/ImageSets/Main/val.txt`]: lines([name(2), name(4), name(7)]),
    // Another list of VOC's: a name and whether the class is there.
    [`${top}/ImageSets/Main/cat_train.txt`]: `${name(1)} -1\n`,
  };
  const maps: Record<string, Uint8Array | string> = {};
  const expected: Record<string, LabelMap> = {};
  const json: { images: object[]; annos_segmentation: object[]; categories: object[] } = {
    images: [],
    annos_segmentation: [],
    categories: [{ category_id: 2, name: 'aeroplane' }],
  };
  for (let i = 1; i <= 7; i++) {
    voc[`${top}/JPEGImages/${name(i)}.jpg`] = await jpeg(i);
    if (i === 4 || (merged && i > 4)) continue;
    const which = labels(i, (value) => value % CONTEXT.sources.length);
    expected[`SegmentationClassContext/${name(i)}.png`] = {
      ...SIZE,
      data: which.data.map((at) => CONTEXT.classes[at]!),
    };
    // 1 and 459 are among the 400 classes that count as background.
    const source = Array.from(which.data, (at, pixel) => (at === 0 ? [0, 1, 459][pixel % 3]! : CONTEXT.sources[at]!));
    maps[`trainval/${name(i)}.mat`] = writeMatlab(
      { LabelMap: labelMatrix({ ...SIZE, data: source }, 'uint16') },
      { compressed: i !== 2 },
    );
    const id = 2008000000 + i;
    json.images.push({ image_id: id, file_name: `${name(i)}.jpg`, ...SIZE, phase: i === 2 ? 'val' : 'train' });
    for (const [at, category] of CONTEXT.sources.entries()) {
      if (at === 0) continue;
      const runs = runLengths({ ...SIZE, data: which.data.map((value) => (value === at ? 1 : 0)) });
      const size = [SIZE.height, SIZE.width];
      const segmentation = { size, counts: at === 1 ? runs : packRuns(runs) };
      json.annos_segmentation.push({ image_id: id, category_id: category, segmentation, parts: [{ text: '"}]' }] });
    }
  }
  return {
    dataset: 'pascal-context',
    folder: 'VOCdevkit/VOC2010',
    archives: {
      'VOCtrainval_03-May-2010.tar': voc,
      ...(merged ? { 'trainval_merged.json': { '': JSON.stringify(json) } } : { 'trainval.tar.gz': maps }),
    },
    labels: expected,
    lists: {
      'ImageSets/SegmentationContext/train.txt': lines([1, 3, ...(merged ? [] : [5, 6])].map(name)),
      'ImageSets/SegmentationContext/val.txt': lines([2, ...(merged ? [] : [7])].map(name)),
    },
    images: merged ? { train: 2, val: 1 } : { train: 4, val: 2 },
    marked: { train: 2, val: 1 },
  };
}

async function rawPlain(
  dataset: string,
  [archive, folder, top]: readonly [archive: string, folder: string, top: string],
  names: readonly string[],
  label: (i: number) => number,
): Promise<RawDownloads> {
  const members: Record<string, Uint8Array> = {};
  const expected: Record<string, LabelMap> = {};
  for (const [seed, path] of names.entries()) {
    const map = labels(seed, label);
    members[`${top}/images/${path}.jpg`] = await jpeg(seed);
    members[`${top}/annotations/${path}.png`] = await grey(map);
    expected[`annotations/${path}.png`] = map;
  }
  const count = (split: string) => names.filter((path) => path.startsWith(split)).length;
  return {
    dataset,
    folder,
    archives: { [archive]: members },
    labels: expected,
    lists: {},
    images: { train: count('train'), val: count('val') },
  };
}

/** With this many training images, and one for validation. */
export const rawAde = (training = 2) =>
  rawPlain(
    'ade20k',
    ['ADEChallengeData2016.zip', 'ade/ADEChallengeData2016', 'ADEChallengeData2016'],
    [
      ...Array.from({ length: training }, (_, i) => `training/ADE_train_${String(i + 1).padStart(8, '0')}`),
      'validation/ADE_val_00000001',
    ],
    (i) => i % 151,
  );

export const rawCamvid = () =>
  rawPlain('camvid', ['camvid.zip', 'camvid', 'camvid'], ['train/0001TP_1', 'train/0001TP_2', 'val/0016E5_1'], (i) =>
    i % 12 === 11 ? 255 : i % 12,
  );

/** Writes a tar archive, compressed if its name says so. */
export async function writeTar(
  file: string,
  members: Readonly<Record<string, Uint8Array | string | { readonly link: string }>>,
): Promise<void> {
  const tar = pack();
  for (const [member, content] of Object.entries(members)) {
    if (typeof content === 'object' && 'link' in content)
      tar.entry({ name: member, type: 'symlink', linkname: content.link });
    else tar.entry({ name: member }, Buffer.from(content));
  }
  tar.finalize();
  await pipeline(/gz$/.test(file) ? [tar, createGzip(), createWriteStream(file)] : [tar, createWriteStream(file)]);
}

/** The content of `synthetic.json`: the downloads are synthetic, and have these numbers of images. */
function marker({ dataset, images, marked = images }: RawDownloads): string {
  const settings: SyntheticSettings = {
    generator: 'a test',
    version: 1,
    imitates: dataset,
    images: marked,
    size: SIZE,
    seed: 0,
  };
  return JSON.stringify(settings);
}

/** Writes downloads into a folder as published archives. */
export async function writePacked(folder: string, raw: RawDownloads): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'synthetic.json'), marker(raw));
  for (const [archive, members] of Object.entries(raw.archives)) {
    const file = path.join(folder, archive);
    if (archive.endsWith('.json')) await writeFile(file, members['']!);
    else if (archive.endsWith('.zip')) {
      await writeFile(file, zip(new Map(Object.entries(members).map(([member, content]) => [member, { content }]))));
    } else await writeTar(file, members);
  }
}

/** Writes unpacked downloads into a folder. */
export async function writeUnpacked(folder: string, raw: RawDownloads): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'synthetic.json'), marker(raw));
  for (const [archive, members] of Object.entries(raw.archives)) {
    for (const [member, content] of Object.entries(members)) {
      const file = path.join(folder, member === '' ? archive : member);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, content);
    }
  }
}
