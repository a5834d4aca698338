import { createHash } from 'node:crypto';
import { access, copyFile, readdir, readFile, rename, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { decodeLabels } from '../../../src/data/decode.js';
import { loadDataset } from '../../../src/data/description.js';
import { isSynthetic, readPrepared, readPreparing, requirePrepared } from '../../../src/data/markers.js';
import { encodePng } from '../../../src/data/palette.js';
import { readSplit } from '../../../src/data/split.js';
import { labelMatrix, writeMatlab } from '../../../src/datasets/generate/raw/matlab-write.js';
import { type PrepareOptions, prepareDataset } from '../../../src/datasets/prepare/prepare.js';
import { InterruptedError, UserError } from '../../../src/support/errors.js';
import { temporaryFolder, writeFiles } from '../../helpers/folder.js';
import { long } from '../../helpers/long.js';
import {
  type RawDownloads,
  rawAde,
  rawCamvid,
  rawCityscapes,
  rawContext,
  rawVoc,
  writePacked,
  writeTar,
  writeUnpacked,
} from '../../helpers/raw-downloads.js';
import { zip } from '../../helpers/zip.js';

const VOC_2010 = 'VOCtrainval_03-May-2010.tar';

interface Prepared {
  readonly raw: RawDownloads;
  /** Where the downloads are. */
  readonly from: string;
  readonly dataRoot: string;
  /** The data set's folder. */
  readonly folder: string;
  readonly prepare: (changes?: Partial<PrepareOptions>) => ReturnType<typeof prepareDataset>;
}

async function setUp(
  t: ExecutionContext,
  raw: RawDownloads,
  write: (folder: string, raw: RawDownloads) => Promise<void> = writePacked,
): Promise<Prepared> {
  const base = await temporaryFolder(t);
  const from = path.join(base, 'downloads');
  const dataRoot = path.join(base, 'data');
  await write(from, raw);
  const options: PrepareOptions = {
    dataset: raw.dataset,
    from: [from],
    dataRoot,
    again: false,
    workers: 1,
    show: async (stages) => {
      for (const { run } of stages) await run(() => undefined);
    },
  };
  const prepare = (changes: Partial<PrepareOptions> = {}) => prepareDataset({ ...options, ...changes });
  return { raw, from, dataRoot, folder: path.join(dataRoot, raw.folder), prepare };
}

/** All files of a folder but hidden ones, by their paths. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('.'))
    .sort();
}

async function assertPrepared(t: ExecutionContext, { raw, folder, dataRoot }: Prepared): Promise<void> {
  for (const [file, expected] of Object.entries(raw.labels)) {
    const { height, width, data } = await decodeLabels(path.join(folder, file));
    t.deepEqual([height, width], [expected.height, expected.width], file);
    t.deepEqual([...data], [...expected.data], file);
  }
  for (const [file, text] of Object.entries(raw.lists))
    t.is(await readFile(path.join(folder, file), 'utf8'), text, file);
  const dataset = await loadDataset(raw.dataset);
  for (const [split, count] of Object.entries(raw.images)) {
    t.is((await readSplit(dataset, split, dataRoot)).length, count, split);
  }
  t.true(isSynthetic(folder));
  t.is(await readPreparing(folder), null);
  const prepared = await readPrepared(folder);
  t.is(prepared?.dataset, raw.dataset);
  const hashes = await readFile(path.join(folder, '.fcn-prepared.sha256'), 'utf8');
  t.is(createHash('sha256').update(hashes).digest('hex'), String(prepared?.sha256));
  for (const line of hashes.trimEnd().split('\n')) {
    const [sha256, file] = line.split('  ') as [string, string];
    t.is(
      createHash('sha256')
        .update(await readFile(path.join(folder, file)))
        .digest('hex'),
      sha256,
      file,
    );
  }
  t.false((await readdir(folder)).some((file) => file.startsWith('.fcn-preparing')));
}

const SETS: Readonly<Record<string, () => Promise<RawDownloads>>> = {
  Cityscapes: rawCityscapes,
  'VOC 2012 + Aug': rawVoc,
  'Pascal Context, of label maps': () => rawContext(false),
  'Pascal Context, of the merged JSON file': () => rawContext(true),
  ADE20K: () => rawAde(),
  CamVid: rawCamvid,
};

for (const [title, make] of Object.entries(SETS)) {
  test(`${title}: from archives and from folders, exactly the expected labels and lists`, async (t) => {
    const raw = await make();
    const packed = await setUp(t, raw);
    const result = await packed.prepare();
    t.deepEqual(result.images, raw.images);
    t.is(result.inputs.length, Object.keys(raw.archives).length);
    for (const { name, sha256 } of result.inputs) {
      const bytes = await readFile(path.join(packed.from, name));
      t.is(sha256, createHash('sha256').update(bytes).digest('hex'), name);
    }
    await assertPrepared(t, packed);
    const unpacked = await setUp(t, raw, writeUnpacked);
    await unpacked.prepare();
    await assertPrepared(t, unpacked);
    t.deepEqual(await filesOf(unpacked.folder), await filesOf(packed.folder));
  });
}

test('Pascal Context 59 is prepared as Pascal Context is, and reads its files', async (t) => {
  const prepared = await setUp(t, await rawContext(true));
  t.is((await prepared.prepare({ dataset: 'pascal-context-59' })).dataset, 'pascal-context-59');
  await assertPrepared(t, prepared);
  t.is((await readSplit(await loadDataset('pascal-context-59'), 'train', prepared.dataRoot)).length, 2);
});

test('only what belongs to the data set is written', async (t) => {
  const cityscapes = await setUp(t, await rawCityscapes());
  await cityscapes.prepare();
  const files = await filesOf(cityscapes.folder);
  t.is(files.length, 3 + 3 + 1);
  t.false(files.some((file) => /test|instanceIds|license|polygons/.test(file)));
  const voc = await setUp(t, await rawVoc());
  await voc.prepare();
  t.deepEqual(
    (await filesOf(voc.folder)).filter((file) => !/JPEGImages|SegmentationClass/.test(file)),
    [...Object.keys(voc.raw.lists), 'synthetic.json'].sort(),
  );
});

test('a finished data set is left alone, and what was removed of it is made again', async (t) => {
  const voc = await setUp(t, await rawVoc());
  const first = await voc.prepare();
  t.true(first.made > 10);
  const label = path.join(voc.folder, 'SegmentationClassAug/2008_000004.png');
  const before = await stat(label);
  const second = await voc.prepare();
  t.is(second.made, 0);
  t.is(second.files, first.files);
  t.is((await stat(label)).mtimeMs, before.mtimeMs);
  await unlink(label);
  await voc.prepare();
  await assertPrepared(t, voc);
});

test('what an earlier version drew otherwise is prepared anew only where that is asked for', async (t) => {
  const set = await setUp(t, await rawCityscapes());
  await set.prepare();
  const marker = path.join(set.folder, '.fcn-prepared.json');
  // One of the labels is drawn of polygons.
  const { version, ...rest } = JSON.parse(await readFile(marker, 'utf8')) as { version: number };
  t.is(version, 2);
  await writeFile(marker, JSON.stringify({ ...rest, version: 1 }));
  const refused = await t.throwsAsync<UserError>(set.prepare(), { message: /from these downloads by another version/ });
  t.regex(refused?.next ?? '', /--again/);
  t.true((await set.prepare({ again: true })).made > 0);
  await assertPrepared(t, set);
});

test('an unpacked download that lies where it is used is prepared there', async (t) => {
  const raw = await rawCityscapes();
  const { dataRoot, folder, prepare } = await setUp(t, raw, async (_, { archives }) => {
    t.truthy(archives);
  });
  await writeUnpacked(folder, raw);
  const image = path.join(folder, 'leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png');
  const before = await stat(image);
  const result = await prepare({ from: [folder] });
  // Only the training ids: images are there, and so is the marker.
  t.is(result.made, 3);
  t.is((await stat(image)).ino, before.ino);
  await assertPrepared(t, { raw, from: folder, dataRoot, folder, prepare });
  t.is((await prepare({ from: [folder] })).made, 0);
  await prepare({ from: [folder], again: true });
  t.is((await stat(image)).ino, before.ino);
});

/** A stop after some files, as if the process had been interrupted. */
async function interrupted(t: ExecutionContext, { prepare }: Prepared, after: number): Promise<void> {
  const controller = new AbortController();
  const reason = new InterruptedError('Interrupted.');
  let said = 0;
  const show: PrepareOptions['show'] = async (stages) => {
    for (const { title, run } of stages) {
      await run(() => {
        if (title === 'Files' && ++said === after) controller.abort(reason);
      });
    }
  };
  await t.throwsAsync(prepare({ signal: controller.signal, show }), { is: reason });
}

test('an interrupted preparation is not read, and is resumed where it stopped', async (t) => {
  for (const raw of [await rawVoc(), await rawCityscapes(), await rawContext(true)]) {
    const set = await setUp(t, raw);
    await interrupted(t, set, 2);
    const dataset = await loadDataset(raw.dataset);
    const refusal = await t.throwsAsync<UserError>(readSplit(dataset, 'train', set.dataRoot), {
      instanceOf: UserError,
    });
    t.regex(refusal?.message ?? '', /the preparation of this data set is not finished/);
    t.regex(refusal?.next ?? '', new RegExp(`fcn datasets prepare ${raw.dataset} --from`));
    await t.throwsAsync(requirePrepared(set.folder), { instanceOf: UserError });
    const done = await filesOf(set.folder);
    t.true(done.length >= 2);
    t.false(done.some((file) => file.endsWith('.tmp')));
    const times = await Promise.all(done.map(async (file) => (await stat(path.join(set.folder, file))).mtimeMs));
    const { made, files } = await set.prepare();
    t.true(made > 0 && made <= files - 2, `${made} of ${files}`);
    t.deepEqual(await Promise.all(done.map(async (file) => (await stat(path.join(set.folder, file))).mtimeMs)), times);
    await assertPrepared(t, set);
  }
});

test('a second preparation of the same folder waits for the first, and finds it done', async (t) => {
  const set = await setUp(t, await rawVoc());
  const results = await Promise.all([set.prepare(), set.prepare()]);
  t.deepEqual(results.map(({ made }) => made).sort(), [0, results[0].files].sort());
  await assertPrepared(t, set);
});

test('a journal that was cut off in the middle of a line is read as far as it goes', async (t) => {
  const set = await setUp(t, await rawAde());
  await interrupted(t, set, 3);
  const journal = path.join(set.folder, '.fcn-preparing.jsonl');
  await truncate(journal, (await stat(journal)).size - 10);
  await set.prepare();
  await assertPrepared(t, set);
});

test('after other downloads nothing of the interrupted preparation is left', async (t) => {
  const raw = await rawAde();
  const set = await setUp(t, raw);
  await interrupted(t, set, 4);
  const members = Object.entries(raw.archives['ADEChallengeData2016.zip']!);
  const renamed = Object.fromEntries(members.map(([member, content]) => [member.replace('00002', '00007'), content]));
  const labels = Object.entries(raw.labels).map(([file, map]) => [file.replace('00002', '00007'), map]);
  const other = { ...raw, archives: { 'ADEChallengeData2016.zip': renamed }, labels: Object.fromEntries(labels) };
  await writePacked(set.from, other);
  await set.prepare();
  await assertPrepared(t, { ...set, raw: other });
  t.false((await filesOf(set.folder)).some((file) => file.includes('00002')));

  await writePacked(set.from, raw);
  const refused = await t.throwsAsync<UserError>(set.prepare(), { message: /was prepared from other downloads/ });
  t.regex(refused?.next ?? '', /--again/);
  await set.prepare({ again: true });
  await assertPrepared(t, set);
  t.false((await filesOf(set.folder)).some((file) => file.includes('00007')));
});

test('a folder that holds other data is left alone', async (t) => {
  const { folder, prepare } = await setUp(t, await rawCamvid());
  await writeFiles(folder, { 'images/train/mine.jpg': 'mine' });
  await t.throwsAsync(prepare(), {
    instanceOf: UserError,
    message: /holds data that was not prepared here \(images\)/,
  });
  t.deepEqual(await filesOf(folder), ['images/train/mine.jpg']);
});

/** A change to downloads, and what the mistake must say. */
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
  // Unpacked, the file is named by its own path; the archive's name is none of it.
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
  const promise = `${fault.title} is named, nothing is accepted, and the right download makes it good`;
  test(promise, (t) => assertNamed(t, fault, true));
  const declare: typeof long = i === 0 ? test : long;
  declare(`unpacked: ${promise}`, (t) => assertNamed(t, fault, false));
}

test('the numbers of images are those that were published, or that the marker of synthetic downloads says', async (t) => {
  const set = await setUp(t, await rawVoc());
  const marker = path.join(set.from, 'synthetic.json');
  await writeFile(marker, JSON.stringify({ imitates: 'voc2012-aug', images: { train: 5, val: 1 } }));
  await t.throwsAsync(set.prepare(), {
    message: /hold 4 train images \(5 expected\); their synthetic\.json/,
  });
  for (const other of ['', '{"imitates": "camvid", "images": {}}']) {
    await writeFile(marker, other);
    await t.throwsAsync(set.prepare(), {
      message: /hold 4 train images \(10582 expected\) and 1 val image \(1449 expected\)\. Read in: .*DeepLab/,
    });
  }
  await t.throwsAsync(access(set.folder));
});

test('archives of any name and packing are known by what is in them', async (t) => {
  /** Names that say nothing, or something else. */
  const cases: [() => Promise<RawDownloads>, Readonly<Record<string, string>>][] = [
    [rawCityscapes, { 'leftImg8bit_trainvaltest.zip': 'download', 'gtFine_trainvaltest.zip': 'leftImg8bit.tar' }],
    [rawVoc, { [VOC]: 'benchmark.tar', 'benchmark.tgz': 'VOCtrainval-2012.zip' }],
    [() => rawContext(false), { 'VOCtrainval_03-May-2010.tar': 'a.bin', 'trainval.tar.gz': 'trainval.zip' }],
    [() => rawContext(true), { 'trainval_merged.json': 'trainval.tar.gz' }],
    [() => rawAde(), { 'ADEChallengeData2016.zip': 'scenes (3).zip.part' }],
    [rawCamvid, { 'camvid.zip': 'x' }],
  ];
  for (const [make, names] of cases) {
    const set = await setUp(t, await make());
    for (const [name, other] of Object.entries(names)) {
      await rename(path.join(set.from, name), path.join(set.from, `moved ${other}`));
    }
    for (const other of Object.values(names)) {
      await rename(path.join(set.from, `moved ${other}`), path.join(set.from, other));
    }
    await set.prepare();
    await assertPrepared(t, set);
    // Each named by itself, in any order.
    const files = (await readdir(set.from)).filter((file) => file !== 'synthetic.json');
    const named = files.reverse().map((file) => path.join(set.from, file));
    t.is((await set.prepare({ from: named })).made, 0);
  }
});

test('among archives that look alike the one that holds the data set is taken; a name comes before others', async (t) => {
  const raw = await rawCityscapes();
  const set = await setUp(t, raw);
  const extra = { 'leftImg8bit/train_extra/x/x_000000_000000_leftImg8bit.png': Buffer.from('x') };
  const packed = (members: object) =>
    zip(new Map(Object.entries(members).map(([member, content]) => [member, { content: content as Buffer }])));
  await writeFile(path.join(set.from, 'leftImg8bit_trainextra.zip'), packed(extra));
  await writeFile(path.join(set.from, 'copy.zip'), packed(raw.archives['leftImg8bit_trainvaltest.zip']!));
  await writeFile(path.join(set.from, 'notes.tar.gz'), 'no archive');
  const { inputs } = await set.prepare();
  t.deepEqual(
    inputs.map(({ name }) => name),
    ['leftImg8bit_trainvaltest.zip', 'gtFine_trainvaltest.zip'],
  );
  await assertPrepared(t, set);
});

test('one archive may hold several parts, and a packed JSON file is read', async (t) => {
  const cityscapes = await rawCityscapes();
  const all = Object.assign({}, ...Object.values(cityscapes.archives)) as Record<string, Uint8Array>;
  const one = await setUp(t, { ...cityscapes, archives: { 'everything.tgz': all } });
  t.deepEqual(
    (await one.prepare()).inputs.map(({ name }) => name),
    ['everything.tgz', 'everything.tgz'],
  );
  await assertPrepared(t, one);
  const context = await setUp(t, await rawContext(true));
  const json = path.join(context.from, 'trainval_merged.json');
  await writeFile(path.join(context.from, 'context.json.gz'), gzipSync(await readFile(json)));
  await unlink(json);
  await context.prepare();
  await assertPrepared(t, context);
});

test('the merged JSON file is read from within an archive, before label maps that lie beside it', async (t) => {
  const merged = await rawContext(true);
  const maps = (await rawContext(false)).archives['trainval.tar.gz']!;
  const json = Buffer.from(merged.archives['trainval_merged.json']!['']!);
  const decoys = { 'a/instances.json': '{"images": [{"id": 1}]}', 'a/._list.json': '}}', 'a/notes.txt': 'no JSON' };
  const images = { [VOC_2010]: merged.archives[VOC_2010]! };
  const archives: Record<string, Record<string, Uint8Array | string>> = {
    'annotations.zip': { ...decoys, 'a/merged.json': json },
    'trainval_merged.tar': { ...decoys, 'trainval_merged.json': json },
    'labels.tar.gz': { ...decoys, 'packed.JSON.gz': gzipSync(json) },
  };
  for (const [name, members] of Object.entries(archives)) {
    const set = await setUp(t, { ...merged, archives: { ...images, [name]: members, 'trainval.tar.gz': maps } });
    t.deepEqual(
      (await set.prepare()).inputs.map((input) => input.name),
      [VOC_2010, name],
    );
    await assertPrepared(t, set);
  }
  const torn = { ...images, 'torn.zip': { 'merged.json': json.subarray(0, -9) } };
  await t.throwsAsync((await setUp(t, { ...merged, archives: torn })).prepare(), {
    instanceOf: UserError,
    message: /torn\.zip: its member merged\.json is damaged: it ends early\.$/,
  });
  const bare = await setUp(t, { ...merged, archives: { ...images, 'trainval_merged.zip': decoys } });
  await t.throwsAsync(bare.prepare(), {
    instanceOf: UserError,
    message: /trainval_merged\.zip holds no merged annotations of Pascal Context\.$/,
  });
});

test('images in one archive and labels in another are one download', async (t) => {
  const raw = await rawCamvid();
  const members = Object.entries(raw.archives['camvid.zip']!);
  const half = (folder: string) => Object.fromEntries(members.filter(([member]) => member.includes(`${folder}/`)));
  const archives = { 'pictures.zip': half('images'), 'camvid labels.tgz': half('annotations') };
  const set = await setUp(t, { ...raw, archives });
  const { inputs } = await set.prepare();
  t.deepEqual(
    inputs.map(({ name, hashed }) => [name, hashed]),
    [
      ['pictures.zip', 'bytes'],
      ['camvid labels.tgz', 'bytes'],
    ],
  );
  await assertPrepared(t, set);
  t.is((await set.prepare()).made, 0);
  // Which of two archives of labels is meant cannot be told.
  const other = await setUp(t, { ...raw, archives: { ...archives, 'more.zip': half('annotations') } });
  await t.throwsAsync(other.prepare(), { instanceOf: UserError });
});

test('what lies under the name of a download and is none is called what it is', async (t) => {
  const cases: [string | Uint8Array, RegExp][] = [
    ['', /is empty\.$/],
    [' \n<!DOCTYPE html><title>Sign in</title>', /is a web page, not the download\.$/],
    ['version https://git-lfs.github.com/spec/v1\n', /is a Git LFS pointer, not the file itself\.$/],
    [Buffer.alloc(2000), /begins with zeros, like a download that was not finished\.$/],
    [Buffer.from('\xfd7zXZ\0 and so on', 'latin1'), /is compressed with xz, which is not read\.$/],
    [Buffer.from('BZh91AY', 'latin1'), /is compressed with bzip2, which is not read\.$/],
    ['{"error": "quota"}', /is a JSON text, not an archive\.$/],
  ];
  const camvid = await setUp(t, { ...(await rawCamvid()), archives: {} });
  const archive = path.join(camvid.from, 'camvid.zip');
  for (const [content, message] of cases) {
    await writeFile(archive, content);
    await t.throwsAsync(camvid.prepare(), { instanceOf: UserError, message });
  }
  const context = await setUp(t, await rawContext(true));
  await writeFile(path.join(context.from, 'trainval_merged.json'), '<html>');
  await t.throwsAsync(context.prepare(), { message: /trainval_merged\.json is a web page, not the download\.$/ });
});

test('an archive that is not read, or is damaged, is said where something is missing', async (t) => {
  const set = await setUp(t, await rawAde());
  const file = path.join(set.from, 'ADEChallengeData2016.zip');
  await rename(file, path.join(set.from, 'a.zip'));
  const packed = path.join(set.from, 'ade.tar.xz');
  await writeFile(packed, Buffer.from('\xfd7zXZ\0 and so on', 'latin1'));
  await t.throwsAsync(set.prepare({ from: [packed] }), {
    instanceOf: UserError,
    message: /neither packed nor unpacked in .*\. \/.*ade\.tar\.xz is compressed with xz, which is not read\.$/,
  });
  const page = path.join(set.from, 'ade.zip.html');
  await writeFile(page, '<html>');
  await t.throwsAsync(set.prepare({ from: [page] }), {
    message: /ade\.zip\.html is a web page, not the download\.$/,
  });
  const torn = path.join(set.from, 'a.zip');
  await truncate(torn, 100);
  await t.throwsAsync(set.prepare({ from: [torn] }), {
    instanceOf: UserError,
    message: /neither packed nor unpacked in .*a\.zip: the zip archive is damaged/,
  });
  await t.throwsAsync(access(set.folder));
});

test('truncated archives are told before anything is written', async (t) => {
  const cases: [() => Promise<RawDownloads>, string, RegExp][] = [
    [rawCityscapes, 'gtFine_trainvaltest.zip', /gtFine_trainvaltest\.zip: the zip archive is damaged: /],
    [rawVoc, VOC, /VOCtrainval_11-May-2012\.tar: the archive is damaged: Unexpected end/],
    [rawVoc, 'benchmark.tgz', /benchmark\.tgz: the archive is damaged: unexpected end of file/],
    [() => rawContext(false), 'trainval.tar.gz', /trainval\.tar\.gz: the archive is damaged: /],
  ];
  for (const [make, archive, message] of cases) {
    const set = await setUp(t, await make());
    const file = path.join(set.from, archive);
    await truncate(file, Math.floor((await stat(file)).size * 0.6) + 7);
    const error = await t.throwsAsync<UserError>(set.prepare(), { instanceOf: UserError, message });
    t.regex(error?.next ?? '', FETCH);
    await t.throwsAsync(access(set.folder));
  }
});

test('a changed byte in a zip archive is found', async (t) => {
  const set = await setUp(t, await rawCityscapes());
  const file = path.join(set.from, 'leftImg8bit_trainvaltest.zip');
  const bytes = await readFile(file);
  const name = 'leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png';
  const at = bytes.indexOf(name) + name.length + 30;
  bytes[at] = bytes[at]! ^ 0x55;
  await writeFile(file, bytes);
  await t.throwsAsync(set.prepare(), {
    instanceOf: UserError,
    message: /leftImg8bit_trainvaltest\.zip: leftImg8bit\/val\/ulm\/.*: the (zip )?archive is damaged/,
  });
});

/** A header of a tar archive, as GNU tar writes it. */
function tarHeader(name: string, type: string, bytes: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(bytes.toString(8).padStart(11, '0'), 124);
  header.write(`        ${type}`, 148);
  header.write('ustar  ', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** A name of so many bytes, as GNU tar writes one that does not fit into a header. */
function longName(bytes: number): Buffer {
  return Buffer.concat([tarHeader('././@LongLink', 'L', bytes), Buffer.alloc(bytes, 'a')]);
}

/** An extended header that gives the next member a size. */
function sizeHeader(size: string): Buffer {
  const record = ` size=${size}\n`;
  const text = `${record.length + String(record.length + 2).length}${record}`;
  return Buffer.concat([tarHeader('pax', 'x', text.length), Buffer.concat([Buffer.from(text)], 512)]);
}

test('archives that lead elsewhere, hold links or files twice are refused, and write nothing outside', async (t) => {
  const image = 'ADEChallengeData2016/images/training/ADE_train_00000001.jpg';
  const file = Buffer.from('x');
  const cases: [string, () => Promise<void> | void, RegExp][] = [];
  const base = await temporaryFolder(t);
  const tar = path.join(base, 'ADEChallengeData2016.tar');
  const zipped = path.join(base, 'ADEChallengeData2016.zip');
  const asTar = (members: Parameters<typeof writeTar>[1]) => () => writeTar(tar, members);
  const asZip = (members: Parameters<typeof zip>[0]) => () => writeFile(zipped, zip(members));
  cases.push(
    [tar, asTar({ [`../../${image}`]: file }), /leads out of the archive/],
    [tar, asTar({ '/etc/images/training/a.jpg': file }), /leads out of the archive/],
    [tar, asTar({ [image]: { link: '/etc/passwd' } }), /is a link, a file was expected/],
    [tar, () => writeFile(tar, longName(64 * 2 ** 20)), /damaged: a header is too large/],
    [
      tar,
      () => writeFile(tar, Buffer.concat([tarHeader('a/', '5', 2 ** 32), longName(64 * 2 ** 20)])),
      /damaged: a header is too large/,
    ],
    [
      tar,
      () => writeFile(tar, Buffer.concat([sizeHeader('99999999999'), tarHeader('a/', '5', 0), longName(64 * 2 ** 20)])),
      /damaged: a header is too large/,
    ],
    ...['a', 'a/'].map((name, i): (typeof cases)[number] => [
      tar,
      () =>
        writeFile(tar, Buffer.concat([sizeHeader('x'), tarHeader(name, i === 0 ? '0' : '5', 0), Buffer.alloc(1024)])),
      /damaged: a member claims NaN bytes/,
    ]),
    [zipped, asZip(new Map([[`../${image}`, { content: file }]])), /leads out of the archive/],
    [zipped, asZip(new Map([['/images/training/a.jpg', { content: file }]])), /leads out of the archive/],
    [zipped, asZip(new Map([[image, { content: '/etc/passwd', mode: 0o120777 }]])), /is a link/],
    [
      zipped,
      asZip(
        new Map([
          [image, { content: file }],
          [`./${image}`, { content: file }],
        ]),
      ),
      /is there twice/,
    ],
  );
  const { prepare } = await setUp(t, await rawAde());
  for (const [archive, write, message] of cases) {
    await write();
    await t.throwsAsync(prepare({ from: [archive] }), { instanceOf: UserError, message });
    await unlink(archive);
  }
  t.deepEqual(await filesOf(base), []);
});

test('downloads that cannot be told apart, or are none, are named', async (t) => {
  const { from, prepare } = await setUp(t, await rawAde());
  const copy = path.join(from, 'ADEChallengeData2016 (1).zip');
  await copyFile(path.join(from, 'ADEChallengeData2016.zip'), copy);
  await t.throwsAsync(prepare(), { message: /Two files could be ADEChallengeData2016\.zip: .* and .*/ });
  await writeFile(copy, '');
  t.is((await prepare()).images['train'], 2);
  const absent = path.join(from, 'absent');
  await t.throwsAsync(prepare({ from: [absent] }), { message: new RegExp(`${absent} does not exist`) });
  await t.throwsAsync(prepare({ dataset: 'kitti' }), { message: /No preparation is known for "kitti"/ });
});
