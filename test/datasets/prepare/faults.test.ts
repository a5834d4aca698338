import { rm } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { loadDataset } from '../../../src/data/description.js';
import { readPrepared } from '../../../src/data/markers.js';
import { encodePng } from '../../../src/data/png-write.js';
import { readSplit } from '../../../src/data/split.js';
import { labelMatrix, writeMatlab } from '../../../src/datasets/generate/raw/matlab-write.js';
import { UserError } from '../../../src/support/errors.js';
import { long } from '../../helpers/long.js';
import { assertPrepared, setUp } from '../../helpers/prepared.js';
import {
  type RawDownloads,
  rawAde,
  rawCamvid,
  rawCityscapes,
  rawContext,
  rawVoc,
  writePacked,
  writeUnpacked,
} from '../../helpers/raw-downloads.js';

/** A change to downloads, and what the error must say. */
interface Fault {
  readonly title: string;
  readonly make: () => Promise<RawDownloads>;
  readonly change: (raw: RawDownloads) => void | Promise<void>;
  readonly message: RegExp;
  readonly next: RegExp;
}

const FETCH = /etch it again/;
const RELEASE = /from another release or was changed: fetch what docs\/datasets\.md names/;
const VOC = 'VOCtrainval_11-May-2012.tar';
const SBD_4 = 'benchmark_RELEASE/dataset/cls/2008_000004.mat';
const map = (value: number) => ({ height: 6, width: 9, data: new Uint16Array(54).fill(value) });
const sbd = (value: number) => writeMatlab({ GTcls: { struct: { Segmentation: labelMatrix(map(value), 'uint8') } } });

const version73 = writeMatlab({});
version73.writeUInt16LE(0x0200, 124);

const FAULTS: readonly Fault[] = [
  {
    title: 'a download that is missing',
    make: rawVoc,
    change: ({ archives }) => {
      delete archives['benchmark.tgz'];
    },
    message: /benchmark\.tgz \(the labels of SBD\) is neither packed nor unpacked in .*downloads/,
    next: /--from/,
  },
  {
    title: 'a .mat file that the lists name and that is missing',
    make: rawVoc,
    change: ({ archives }) => {
      delete archives['benchmark.tgz']![SBD_4];
    },
    message: /benchmark\.tgz: dataset\/cls\/2008_000004\.mat is not in it/,
    next: FETCH,
  },
  {
    title: 'an image that the lists name and that is missing',
    make: rawVoc,
    change: ({ archives }) => {
      delete archives[VOC]!['VOCdevkit/VOC2012/JPEGImages/2008_000005.jpg'];
    },
    message: /VOCtrainval_11-May-2012\.tar: JPEGImages\/2008_000005\.jpg is not in it/,
    next: FETCH,
  },
  {
    title: 'a list that is missing',
    make: rawVoc,
    change: ({ archives }) => {
      delete archives[VOC]!['VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt'];
    },
    message: /VOCtrainval_11-May-2012\.tar: ImageSets\/Segmentation\/val\.txt is not in it/,
    next: FETCH,
  },
  {
    title: 'a .mat file of another version',
    make: rawVoc,
    change: ({ archives }) => {
      archives['benchmark.tgz']![SBD_4] = version73;
    },
    message: /benchmark\.tgz: .*2008_000004\.mat: a MAT-file of version 7\.3 \(HDF5\), expected one of level 5/,
    next: /save it with -v7, or fetch the files/,
  },
  {
    title: 'a .mat file of something else',
    make: rawVoc,
    change: ({ archives }) => {
      archives['benchmark.tgz']![SBD_4] = writeMatlab({ GTinst: { text: 'x' } });
    },
    message: /2008_000004\.mat: it has no struct GTcls/,
    next: RELEASE,
  },
  {
    title: 'an unknown label of SBD',
    make: rawVoc,
    change: ({ archives }) => {
      archives['benchmark.tgz']![SBD_4] = sbd(21);
    },
    message: /2008_000004\.mat: the label 21 at row 0, column 0 is not a class \(0 to 20, or 255\)/,
    next: RELEASE,
  },
  {
    title: 'a label map of another size than its image',
    make: rawVoc,
    change: ({ archives }) => {
      const small = { height: 2, width: 3, data: new Uint8Array(6) };
      archives['benchmark.tgz']![SBD_4] = writeMatlab({
        GTcls: { struct: { Segmentation: labelMatrix(small, 'uint8') } },
      });
    },
    message: /SegmentationClassAug.2008_000004\.png is 3×2 pixels, but its image is 9×6/,
    next: /Made from .*2008_000004\.jpg and .*benchmark\.tgz: .*2008_000004\.mat: replace/,
  },
  {
    title: 'an unknown label id of Cityscapes',
    make: rawCityscapes,
    change: async ({ archives }) => {
      const ids = new Uint8Array(54).fill(34);
      const png = await encodePng(ids, { height: 6, width: 9 }, { colourType: 'grey', filter: 'none', level: 1 });
      archives['gtFine_trainvaltest.zip']!['gtFine/val/ulm/ulm_000001_000019_gtFine_labelIds.png'] = png;
    },
    message: /gtFine_trainvaltest\.zip: gtFine\/val\/ulm\/ulm_000001_000019_gtFine_labelIds\.png: the label id 34/,
    next: RELEASE,
  },
  {
    title: 'an unknown label of Cityscapes’ polygons',
    make: rawCityscapes,
    change: ({ archives }) => {
      const annotation = { imgHeight: 6, imgWidth: 9, objects: [{ label: 'moon', polygon: [] }] };
      const file = 'gtFine/train/bochum/bochum_000000_000019_gtFine_polygons.json';
      archives['gtFine_trainvaltest.zip']![file] = JSON.stringify(annotation);
    },
    message: /bochum_000000_000019_gtFine_polygons\.json: the label "moon" is not in Cityscapes/,
    next: RELEASE,
  },
  {
    title: 'an image of Cityscapes without a label',
    make: rawCityscapes,
    change: ({ archives }) => {
      delete archives['gtFine_trainvaltest.zip']!['gtFine/val/ulm/ulm_000001_000019_gtFine_labelIds.png'];
    },
    message: /gtFine_trainvaltest\.zip: gtFine\/val\/ulm\/ulm_000001_000019_gtFine_labelIds\.png or .* is not in it/,
    next: FETCH,
  },
  {
    title: 'an unknown label of Pascal Context',
    make: () => rawContext(false),
    change: ({ archives }) => {
      const file = writeMatlab({ LabelMap: labelMatrix(map(460), 'uint16') });
      archives['trainval.tar.gz']!['trainval/2008_000003.mat'] = file;
    },
    message: /trainval\.tar\.gz: trainval\/2008_000003\.mat: the label 460 .* not in Pascal Context \(0 to 459\)/,
    next: RELEASE,
  },
  {
    title: 'an unknown category of the merged JSON file',
    make: () => rawContext(true),
    change: ({ archives }) => {
      const json = archives['trainval_merged.json']!;
      json[''] = (json[''] as string).replace('"category_id":9', '"category_id":10');
    },
    message:
      /trainval_merged\.json: regions\/2008_000001\.json: region 1: the category 10 is not one of the 59 classes/,
    next: RELEASE,
  },
  {
    title: 'a merged JSON file that ends early',
    make: () => rawContext(true),
    change: ({ archives }) => {
      const json = archives['trainval_merged.json']!;
      json[''] = (json[''] as string).slice(0, 700);
    },
    message: /trainval_merged\.json is damaged: it ends early/,
    next: FETCH,
  },
  {
    title: 'an unknown label of ADE20K',
    make: () => rawAde(),
    change: async ({ archives }) => {
      const ids = new Uint8Array(54).fill(151);
      const png = await encodePng(ids, { height: 6, width: 9 }, { colourType: 'grey', filter: 'none', level: 1 });
      archives['ADEChallengeData2016.zip']!['ADEChallengeData2016/annotations/validation/ADE_val_00000001.png'] = png;
    },
    message: /annotations.validation.ADE_val_00000001\.png: label value 151 at column 0, row 0 is no class of ADE20K/,
    next: /Made from .*ADEChallengeData2016\.zip: .*ADE_val_00000001\.png: replace/,
  },
  {
    title: 'a torn image',
    make: rawCamvid,
    change: ({ archives }) => {
      const members = archives['camvid.zip']!;
      const image = members['camvid/images/train/0001TP_1.jpg'] as Uint8Array;
      members['camvid/images/train/0001TP_1.jpg'] = image.subarray(0, 40);
    },
    message: /images.train.0001TP_1\.jpg: the image cannot be decoded/,
    next: /Made from .*camvid\.zip: camvid\/images\/train\/0001TP_1\.jpg/,
  },
  {
    title: 'a label without its image',
    make: () => rawAde(),
    change: ({ archives }) => {
      delete archives['ADEChallengeData2016.zip']!['ADEChallengeData2016/images/training/ADE_train_00000002.jpg'];
    },
    message:
      /ADEChallengeData2016\.zip: images\/training\/ADE_train_00000002\.jpg is not in it, but its label is there/,
    next: FETCH,
  },
];

async function assertNamed(
  t: ExecutionContext,
  { make, change, message, next }: Fault,
  packed: boolean,
): Promise<void> {
  const raw = await make();
  await change(raw);
  const write = packed ? writePacked : writeUnpacked;
  const set = await setUp(t, raw, write);
  const error = await t.throwsAsync<UserError>(set.prepare(), { instanceOf: UserError });
  // An unpacked file is named by its own path, without the archive.
  if (packed) t.regex(error?.message ?? '', message);
  t.regex(error?.next ?? '', packed ? next : /./);
  const dataset = await loadDataset(raw.dataset);
  await t.throwsAsync(readSplit(dataset, 'train', set.dataRoot), { instanceOf: UserError });
  t.is(await readPrepared(set.folder), null);
  await rm(set.from, { recursive: true });
  await write(set.from, await make());
  await set.prepare();
  await assertPrepared(t, { ...set, raw: await make() });
}

for (const [i, fault] of FAULTS.entries()) {
  const promise = `${fault.title} is named, nothing is accepted, and the right download solves it`;
  test(promise, (t) => assertNamed(t, fault, true));
  const declare: typeof long = i === 0 ? test : long;
  declare(`unpacked: ${promise}`, (t) => assertNamed(t, fault, false));
}
