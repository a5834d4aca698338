import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { loadDataset } from '../../src/data/datasets/description.js';
import { readSplit } from '../../src/data/datasets/read-split.js';
import { decodeLabels, decodeRgb } from '../../src/data/decode.js';
import { generateCityscapes } from '../../src/data/generate/cityscapes.js';
import { TRAINING_CLASSES } from '../../src/data/generate/labels.js';
import { temporaryFolder } from '../helpers/folder.js';

const SIZE = { height: 128, width: 256 };

test("a synthetic set has Cityscapes' layout, all its classes, and labels that agree", async (t) => {
  const root = await temporaryFolder(t);
  const directory = path.join(root, 'cityscapes');
  const progress: string[] = [];
  const result = await generateCityscapes({
    directory,
    images: 8,
    size: SIZE,
    seed: 0,
    onProgress: (done, total) => progress.push(`${done}/${total}`),
  });
  t.deepEqual(result, { train: 6, val: 2, written: 8 });
  t.deepEqual(progress, ['0/8', '1/8', '2/8', '3/8', '4/8', '5/8', '6/8', '7/8', '8/8']);
  const dataset = await loadDataset('cityscapes');
  const counts = new Uint32Array(256);
  const train = await readSplit(dataset, 'train', root);
  const val = await readSplit(dataset, 'val', root);
  t.is(train.length, 6);
  t.is(val.length, 2);
  const dictionary = new Map(TRAINING_CLASSES.map((id, trainingId) => [id, trainingId]));
  for (const { image, label } of [...train, ...val]) {
    const { height, width } = await decodeRgb(image);
    t.deepEqual({ height, width }, SIZE);
    const labels = await decodeLabels(label);
    const ids = await decodeLabels(label.replace('labelTrainIds', 'labelIds'));
    t.true(ids.data.every((id, i) => (dictionary.get(id) ?? 255) === labels.data[i]));
    for (const value of labels.data) counts[value]!++;
  }
  t.true(counts.subarray(0, 19).every((count) => count > 0));
  t.true(counts[255]! > 0);
  t.is(
    counts.subarray(19, 255).reduce((a, b) => a + b),
    0,
  );
});

test('the same settings give the same files, and a missing one is made again', async (t) => {
  const root = await temporaryFolder(t);
  const options = { images: 2, size: { height: 32, width: 64 }, workers: 1 };
  const contents = async (directory: string) => {
    const files = (await readdir(directory, { recursive: true })).filter((file) => file.endsWith('.png')).sort();
    return Promise.all(
      files.map(async (file) => `${file} ${(await readFile(path.join(directory, file))).toString('hex')}`),
    );
  };
  const [a, b, c] = ['a', 'b', 'c'].map((name) => path.join(root, name)) as [string, string, string];
  await generateCityscapes({ ...options, directory: a, seed: 3 });
  await generateCityscapes({ ...options, directory: b, seed: 3 });
  await generateCityscapes({ ...options, directory: c, seed: 4 });
  const first = await contents(a);
  t.is(first.length, 6);
  t.deepEqual(await contents(b), first);
  t.notDeepEqual(await contents(c), first);

  const lost = path.join(a, first[0]!.split(' ')[0]!);
  await rm(lost);
  t.is((await generateCityscapes({ ...options, directory: a, seed: 3 })).written, 1);
  t.deepEqual(await contents(a), first);
  t.is((await generateCityscapes({ ...options, directory: a, seed: 3 })).written, 0);
});

test('other data and other settings are not mixed', async (t) => {
  const root = await temporaryFolder(t);
  const options = {
    directory: path.join(root, 'set'),
    images: 2,
    size: { height: 32, width: 64 },
    seed: 0,
    workers: 1,
  };
  await generateCityscapes(options);
  await t.throwsAsync(generateCityscapes({ ...options, seed: 1 }), { name: 'UserError', message: /other settings/ });
  await writeFile(path.join(root, 'mine.txt'), 'mine');
  await t.throwsAsync(generateCityscapes({ ...options, directory: root }), {
    name: 'UserError',
    message: /not generated here/,
  });
  await t.throwsAsync(generateCityscapes({ ...options, images: 1 }), { name: 'UserError' });
  await t.throwsAsync(generateCityscapes({ ...options, size: { height: 8, width: 8 } }), {
    name: 'UserError',
    message: /too small/,
  });
});

test('an abort ends the work with its reason', async (t) => {
  const directory = path.join(await temporaryFolder(t), 'set');
  const reason = new Error('stop');
  const signal = AbortSignal.abort(reason);
  await t.throwsAsync(generateCityscapes({ directory, images: 2, size: SIZE, seed: 0, signal }), { is: reason });
  t.true((await stat(path.join(directory, 'synthetic.json'))).isFile());
});
