import { access, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeLabels } from '../../src/data/decode.js';
import { loadDataset } from '../../src/data/description.js';
import { isSynthetic } from '../../src/data/markers.js';
import { datasetFolder } from '../../src/data/split.js';
import { type GenerateRawOptions, generateRaw } from '../../src/datasets/generate/raw/generate-raw.js';
import { polygonsOf } from '../../src/datasets/generate/raw/labels.js';
import { ZipSource } from '../../src/datasets/prepare/archives.js';
import { fromLabelIds, fromPolygons } from '../../src/datasets/prepare/labels.js';
import { type PrepareOptions, prepareDataset } from '../../src/datasets/prepare/prepare.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import fc from '../helpers/properties.js';

const show: PrepareOptions['show'] = async (stages) => {
  for (const { run } of stages) await run(() => undefined);
};

async function raw(id: string, directory: string, changes: Partial<GenerateRawOptions> = {}) {
  const size = { height: 64, width: 96 };
  const dataset = await loadDataset(id);
  return generateRaw({ dataset, directory, images: 4, size, seed: 0, show, ...changes });
}

/** Prepares downloads; returns the data set's folder. */
async function prepared(t: ExecutionContext, dataset: string, from: readonly string[]): Promise<string> {
  const dataRoot = await temporaryFolder(t);
  await prepareDataset({ dataset, from, dataRoot, again: false, show });
  return datasetFolder(await loadDataset(dataset), dataRoot);
}

/** Label maps of a folder by their path. */
async function labelsOf(folder: string) {
  const files = (await readdir(folder, { recursive: true })).filter((file) => /(Class.*|Ids)\b.*\.png$/.test(file));
  return Object.fromEntries(
    await Promise.all(files.sort().map(async (file) => [file, await decodeLabels(path.join(folder, file))] as const)),
  );
}

const contents = async (folder: string, names: readonly string[]) =>
  Promise.all(names.map((name) => readFile(path.join(folder, name))));

test('polygons draw exactly the map from which they were made', (t) => {
  const sides = fc.record({ height: fc.integer({ min: 1, max: 9 }), width: fc.integer({ min: 1, max: 9 }) });
  const maps = sides.chain(({ height, width }) => {
    const pixels = { minLength: height * width, maxLength: height * width };
    const values = fc.array(fc.constantFrom(0, 7, 11, 26), pixels);
    return values.map((data) => ({ height, width, data: Uint8Array.from(data) }));
  });
  fc.assert(
    fc.property(maps, (map) => {
      t.deepEqual(fromPolygons(polygonsOf(map)), fromLabelIds(map));
    }),
    { numRuns: 500 },
  );
});

test('Cityscapes: the polygons alone give the same labels as the maps of ids', async (t) => {
  const from = await temporaryFolder(t);
  await raw('cityscapes', from);
  const all = await labelsOf(await prepared(t, 'cityscapes', [from]));
  t.is(Object.keys(all).length, 4);
  const archive = new ZipSource(path.join(from, 'gtFine_trainvaltest.zip'));
  const { files } = await archive.inspect((member) => (member.endsWith('.json') ? 'file' : null));
  const unpacked = path.join(from, 'unpacked');
  for await (const member of archive.read(new Set(files.keys()))) {
    if ('bytes' in member) await writeFiles(unpacked, { [member.path]: member.bytes });
  }
  const images = path.join(from, 'leftImg8bit_trainvaltest.zip');
  t.deepEqual(await labelsOf(await prepared(t, 'cityscapes', [images, unpacked])), all);
});

test('Pascal Context: the label maps hold the labels of the merged file, and as many more images as the published ones', async (t) => {
  const from = await temporaryFolder(t);
  await raw('pascal-context', from);
  const images = path.join(from, 'VOCtrainval_03-May-2010.tar');
  const maps = await prepared(t, 'pascal-context', [images, path.join(from, 'trainval.tar.gz')]);
  const merged = await prepared(t, 'pascal-context', [images, path.join(from, 'trainval_merged.json')]);
  const [ofMaps, ofMerged] = [await labelsOf(maps), await labelsOf(merged)];
  t.is(Object.keys(ofMerged).length, 4);
  // 4,998 - 4,996 and 5,105 - 5,104.
  t.is(Object.keys(ofMaps).length, 4 + 2 + 1);
  for (const [file, labels] of Object.entries(ofMerged)) t.deepEqual(ofMaps[file], labels, file);
  for (const [split, more] of [
    ['train', 2],
    ['val', 1],
  ] as const) {
    const list = [`ImageSets/SegmentationContext/${split}.txt`];
    const [[a], [b]] = [await contents(maps, list), await contents(merged, list)];
    const [all, some] = [a, b].map((text) => String(text).trim().split('\n'));
    t.deepEqual(all!.slice(0, -more), some!);
  }
});

test('archives say that they are synthetic, even if they are moved', async (t) => {
  for (const id of ['ade20k', 'voc2012-aug']) {
    const base = await temporaryFolder(t);
    const { archives } = await raw(id, path.join(base, 'made'));
    await mkdir(path.join(base, 'moved'));
    for (const { name } of archives) await rename(path.join(base, 'made', name), path.join(base, 'moved', name));
    t.true(isSynthetic(await prepared(t, id, [path.join(base, 'moved')])));
  }
});

test('the same settings give the same archives; a missing one is made again', async (t) => {
  const [a, b] = [await temporaryFolder(t), await temporaryFolder(t)];
  const { archives, written } = await raw('voc2012-aug', a);
  const names = archives.map(({ name }) => name);
  t.is(written, 2);
  t.like(await raw('voc2012-aug', b, { workers: 2 }), { written: 2 });
  const first = await contents(a, names);
  t.deepEqual(await contents(b, names), first);
  t.is((await raw('voc2012-aug', a)).written, 0);
  await rm(path.join(a, 'benchmark.tgz'));
  t.is((await raw('voc2012-aug', a)).written, 1);
  t.deepEqual(await contents(a, names), first);
});

test('an interrupted run leaves no half-written archive, and is resumed', async (t) => {
  const directory = await temporaryFolder(t);
  const controller = new AbortController();
  const reason = new Error('stop');
  const stop: PrepareOptions['show'] = async (stages) => {
    for (const { title, run } of stages) await run(() => title === 'Archives' && controller.abort(reason));
  };
  await t.throwsAsync(raw('camvid', directory, { show: stop, signal: controller.signal }), { is: reason });
  t.deepEqual((await readdir(directory)).sort(), ['.fcn-generating', 'synthetic.json']);
  t.is((await raw('camvid', directory)).written, 1);
  await t.throwsAsync(access(path.join(directory, '.fcn-generating')));
  t.is(Object.keys(await labelsOf(await prepared(t, 'camvid', [directory]))).length, 0);
});

test('impossible settings are refused before anything is written', async (t) => {
  const directory = path.join(await temporaryFolder(t), 'downloads');
  await t.throwsAsync(raw('voc2012-aug', directory, { images: 2 }), { name: 'UserError', message: /too few/ });
  await t.throwsAsync(raw('camvid', directory, { size: { height: 8, width: 8 } }), { message: /too small/ });
  await t.throwsAsync(access(directory));
});
