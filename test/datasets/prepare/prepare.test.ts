import { createHash } from 'node:crypto';
import { access, readFile, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadDataset } from '../../../src/data/description.js';
import { requirePrepared } from '../../../src/data/markers.js';
import { readSplit } from '../../../src/data/split.js';
import type { PrepareOptions } from '../../../src/datasets/prepare/prepare.js';
import { InterruptedError, UserError } from '../../../src/support/errors.js';
import { writeFiles } from '../../helpers/folder.js';
import { assertPrepared, filesOf, type Prepared, setUp } from '../../helpers/prepared.js';
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

test('Pascal Context 59 is prepared like Pascal Context, and reads its files', async (t) => {
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

test('a finished data set is left alone, and removed files are made again', async (t) => {
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

test('a data set with files of another version is prepared anew only if the user asks for it', async (t) => {
  const set = await setUp(t, await rawCityscapes());
  await set.prepare();
  const marker = path.join(set.folder, '.fcn-prepared.json');
  // One of the labels is drawn from polygons.
  const { version, ...rest } = JSON.parse(await readFile(marker, 'utf8')) as { version: number };
  t.is(version, 2);
  await writeFile(marker, JSON.stringify({ ...rest, version: 1 }));
  const refused = await t.throwsAsync<UserError>(set.prepare(), { message: /from these downloads by another version/ });
  t.regex(refused?.next ?? '', /--again/);
  t.true((await set.prepare({ again: true })).made > 0);
  await assertPrepared(t, set);
});

test('an unpacked download in the folder of the data set is prepared in place', async (t) => {
  const raw = await rawCityscapes();
  const { dataRoot, folder, prepare } = await setUp(t, raw, async (_, { archives }) => {
    t.truthy(archives);
  });
  await writeUnpacked(folder, raw);
  const image = path.join(folder, 'leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png');
  const before = await stat(image);
  const result = await prepare({ from: [folder] });
  // Only the training ids: the images and the marker exist.
  t.is(result.made, 3);
  t.is((await stat(image)).ino, before.ino);
  await assertPrepared(t, { raw, from: folder, dataRoot, folder, prepare });
  t.is((await prepare({ from: [folder] })).made, 0);
  await prepare({ from: [folder], again: true });
  t.is((await stat(image)).ino, before.ino);
});

/** Interrupts a preparation after some files. */
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

test('a second preparation of the same folder waits for the first, and finds it finished', async (t) => {
  const set = await setUp(t, await rawVoc());
  const results = await Promise.all([set.prepare(), set.prepare()]);
  t.deepEqual(results.map(({ made }) => made).sort(), [0, results[0].files].sort());
  await assertPrepared(t, set);
});

test('a journal that ends in the middle of a line is read up to there', async (t) => {
  const set = await setUp(t, await rawAde());
  await interrupted(t, set, 3);
  const journal = path.join(set.folder, '.fcn-preparing.jsonl');
  await truncate(journal, (await stat(journal)).size - 10);
  await set.prepare();
  await assertPrepared(t, set);
});

test('a preparation from other downloads leaves nothing of the interrupted one', async (t) => {
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

test('the numbers of images must be the published ones, or those in the marker of synthetic downloads', async (t) => {
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
