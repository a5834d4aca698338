import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import sharp from 'sharp';
import { decodeLabels, decodeRgb } from '../../src/data/decode.js';
import { loadDataset } from '../../src/data/description.js';
import { loadSample } from '../../src/data/samples.js';
import { datasetFolder, readSplit } from '../../src/data/split.js';
import { type GenerateOptions, generateDataset } from '../../src/datasets/generate/generate.js';
import { TRAINING_CLASSES } from '../../src/datasets/generate/imitations.js';
import { temporaryFolder } from '../helpers/folder.js';

const SIZE = { height: 96, width: 128 };

async function generate(t: ExecutionContext, id: string, options: Partial<GenerateOptions> = {}) {
  const root = await temporaryFolder(t);
  const dataset = await loadDataset(id);
  const directory = datasetFolder(dataset, root);
  const result = await generateDataset({ dataset, directory, images: 8, size: SIZE, seed: 0, ...options });
  const [train, val] = await Promise.all([readSplit(dataset, 'train', root), readSplit(dataset, 'val', root)]);
  return { root, dataset, directory, result, train, val };
}

/** Every file of a folder with its content. */
async function contents(directory: string): Promise<string[]> {
  const files = (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name !== 'synthetic.json')
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  const hex = async (file: string) => (await readFile(file)).toString('hex');
  return Promise.all(files.map(async (file) => `${path.relative(directory, file)} ${await hex(file)}`));
}

test("Cityscapes' label ids and training ids agree", async (t) => {
  const progress: string[] = [];
  const { result, train, val } = await generate(t, 'cityscapes', {
    size: { height: 128, width: 256 },
    onProgress: (done, total) => progress.push(`${done}/${total}`),
  });
  t.like(result, { train: 6, val: 2, written: 8, sizesDiffer: false });
  t.deepEqual(progress, ['0/8', '1/8', '2/8', '3/8', '4/8', '5/8', '6/8', '7/8', '8/8']);
  const dictionary = new Map(TRAINING_CLASSES.map((id, trainingId) => [id, trainingId]));
  for (const { label } of [...train, ...val]) {
    const labels = await decodeLabels(label);
    const ids = await decodeLabels(label.replace('labelTrainIds', 'labelIds'));
    t.true(ids.data.every((id, i) => (dictionary.get(id) ?? 255) === labels.data[i]));
  }
});

/** How many images show every class; whether there are ignored pixels, and images of several sizes. */
const SETS = {
  ade20k: { images: 20, ignores: true, sizesDiffer: true },
  camvid: { images: 6, ignores: true, sizesDiffer: false },
  cityscapes: { images: 6, ignores: true, sizesDiffer: false },
  'pascal-context': { images: 12, ignores: false, sizesDiffer: true },
  'pascal-context-59': { images: 12, ignores: true, sizesDiffer: true },
  'voc2012-aug': { images: 8, ignores: true, sizesDiffer: true },
} as const;

for (const [id, { images, ignores, sizesDiffer }] of Object.entries(SETS)) {
  test(`${id}: the generated set can be read, and holds all classes and nothing else`, async (t) => {
    const { dataset, train, val, result } = await generate(t, id, { images, size: { height: 192, width: 256 } });
    t.is(train.length + val.length, images);
    t.is(result.sizesDiffer, sizesDiffer);
    const counts = new Uint32Array(256);
    const sizes = new Set<string>();
    for (const entry of [...train, ...val]) {
      const { image, labels } = await loadSample(entry, dataset);
      t.is((await sharp(entry.image).metadata()).format, id === 'cityscapes' ? 'png' : 'jpeg');
      t.true(Math.max(image.height, image.width) <= 256);
      sizes.add(`${image.height}x${image.width}`);
      for (const value of labels.data) counts[value]!++;
    }
    const absent = dataset.classes.filter((_, k) => counts[k] === 0);
    t.deepEqual(absent, []);
    t.is(counts[255]! > 0, ignores);
    t.is(sizes.size > 1, sizesDiffer);
  });
}

test('VOC: palette label maps in two folders, each image of training in one list', async (t) => {
  const { directory, train, val, dataset } = await generate(t, 'voc2012-aug');
  const folders = new Set(train.map(({ label }) => path.basename(path.dirname(label))));
  t.deepEqual([...folders], ['SegmentationClass', 'SegmentationClassAug']);
  const list = async (name: string) =>
    (await readFile(path.join(directory, 'ImageSets', 'Segmentation', `${name}.txt`), 'utf8')).trim().split('\n');
  const names = [...(await list('train')), ...(await list('aug'))];
  t.deepEqual(
    names,
    train.map(({ name }) => name),
  );
  t.is(new Set([...names, ...(await list('val'))]).size, 8);
  const { isPalette } = await sharp(val[0]!.label).metadata();
  t.true(isPalette);
  // Viewers show the palette of the classes, and black for ignored pixels.
  const shown = await decodeRgb(val[0]!.label);
  const colours = new Set(dataset.palette.map(String));
  t.true(shown.data.every((_, i) => i % 3 !== 0 || colours.has(String([...shown.data.subarray(i, i + 3)]))));
});

test('the two sets of Pascal Context are the same files', async (t) => {
  const first = await generate(t, 'pascal-context');
  const other = await loadDataset('pascal-context-59');
  const { written } = await generateDataset({ ...first, dataset: other, images: 8, size: SIZE, seed: 0 });
  t.is(written, 0);
  const [entry] = first.train;
  const whole = (await loadSample(entry!, first.dataset)).labels.data;
  const reduced = (await loadSample(entry!, other)).labels.data;
  t.true(whole.includes(0));
  t.true(whole.every((id, i) => reduced[i] === (id === 0 ? 255 : id - 1)));
});

test('every image of Pascal Context shows background, in which its two sets differ', async (t) => {
  const { dataset, train, val } = await generate(t, 'pascal-context', { images: 4, size: { height: 64, width: 128 } });
  for (const entry of [...train, ...val]) {
    const { data } = (await loadSample(entry, dataset)).labels;
    const share = data.filter((id) => id === 0).length / data.length;
    t.true(share > 0.05 && share < 0.4, `${entry.name}: ${share}`);
  }
});

for (const id of ['cityscapes', 'voc2012-aug']) {
  test(`${id}: the same settings give the same files, and missing ones are made again`, async (t) => {
    const options = { images: 3, size: { height: 64, width: 64 } };
    const a = await generate(t, id, { ...options, seed: 3 });
    const b = await generate(t, id, { ...options, seed: 3, workers: 2 });
    const c = await generate(t, id, { ...options, seed: 4 });
    const first = await contents(a.directory);
    // Three files for each image, or two and three lists.
    t.is(first.length, 9);
    t.deepEqual(await contents(b.directory), first);
    t.notDeepEqual(await contents(c.directory), first);

    const again = () => generateDataset({ ...options, dataset: a.dataset, directory: a.directory, seed: 3 });
    for (const { image, label } of [a.train[0]!, a.val[0]!]) {
      await rm(image);
      t.is((await again()).written, 1);
      await rm(label);
      t.is((await again()).written, 1);
    }
    t.deepEqual(await contents(a.directory), first);
    t.is((await again()).written, 0);
  });
}

test('a missing list is made again', async (t) => {
  const { directory, dataset, root } = await generate(t, 'voc2012-aug');
  await rm(path.join(directory, 'ImageSets/Segmentation/aug.txt'));
  await t.throwsAsync(readSplit(dataset, 'train', root), { name: 'UserError', message: /aug\.txt does not exist/ });
  t.is((await generateDataset({ dataset, directory, images: 8, size: SIZE, seed: 0 })).written, 0);
  t.is((await readSplit(dataset, 'train', root)).length, 6);
});

test('a folder with other data or settings is refused', async (t) => {
  const { dataset, root, directory } = await generate(t, 'cityscapes', { images: 2 });
  const options = { dataset, directory, images: 2, size: SIZE, seed: 0 };
  await t.throwsAsync(generateDataset({ ...options, seed: 1 }), { name: 'UserError', message: /other settings/ });
  await t.throwsAsync(generateDataset({ ...options, images: 3 }), { name: 'UserError', message: /other settings/ });
  await writeFile(path.join(root, 'mine.txt'), 'mine');
  await t.throwsAsync(generateDataset({ ...options, directory: root }), {
    name: 'UserError',
    message: /not generated here/,
  });
});

test('impossible settings are errors that say what is possible', async (t) => {
  const directory = path.join(await temporaryFolder(t), 'set');
  const make = async (id: string, images: number, side: number) =>
    generateDataset({
      dataset: await loadDataset(id),
      directory,
      images,
      size: { height: side, width: side },
      seed: 0,
    });
  const next = async (id: string, images: number, side: number) =>
    (await t.throwsAsync<Error & { next?: string }>(make(id, images, side), { name: 'UserError' }))?.next;
  t.is(await next('cityscapes', 1, 64), 'Give at least 2 images.');
  t.is(await next('voc2012-aug', 2, 64), 'Give at least 3 images.');
  t.is(await next('cityscapes', 2, 32), 'Give at least 32x64 (height x width).');
  t.is(await next('ade20k', 2, 32), 'Give at least 48x48 (height x width).');
});

test('an abort ends the work with its reason', async (t) => {
  const directory = path.join(await temporaryFolder(t), 'set');
  const dataset = await loadDataset('ade20k');
  const reason = new Error('stop');
  const signal = AbortSignal.abort(reason);
  await t.throwsAsync(generateDataset({ dataset, directory, images: 2, size: SIZE, seed: 0, signal }), { is: reason });
  t.true((await stat(path.join(directory, 'synthetic.json'))).isFile());
});
