import { appendFile, cp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { Dataset } from '../../src/data/dataset.js';
import { decodeLabels } from '../../src/data/decode.js';
import { PREPARING_MARKER } from '../../src/data/markers.js';
import { encodePng } from '../../src/data/png-write.js';
import type { Problem } from '../../src/data/problem.js';
import { readSplit } from '../../src/data/split.js';
import { type DatasetVerification, formatDatasetVerification, verifyDataset } from '../../src/datasets/verify.js';
import { UserError } from '../../src/support/errors.js';
import { type GeneratedDataset, generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

function verify({ dataset, dataRoot }: GeneratedDataset, fast = false): Promise<DatasetVerification> {
  return verifyDataset({ dataset, dataRoot, fast, workers: 1 });
}

const messages = ({ problems }: DatasetVerification) => problems.map(({ message }) => message);

/** Rewrites a label map with one pixel changed, or with another size. */
async function rewriteLabels(file: string, change: { value?: number; height?: number }): Promise<void> {
  const { height, width, data } = await decodeLabels(file);
  if (change.value !== undefined) data[5] = change.value;
  const size = { height: change.height ?? height, width };
  await writeFile(
    file,
    await encodePng(data.subarray(0, size.height * width), size, { colourType: 'grey', filter: 'none', level: 1 }),
  );
}

for (const id of ['ade20k', 'camvid', 'cityscapes', 'pascal-context', 'pascal-context-59', 'voc2012-aug']) {
  test(`${id}: a generated data set has no problems`, async (t) => {
    const set = await generated(t, id, 4);
    const progress: string[] = [];
    const onProgress = (done: number, total: number) => progress.push(`${done}/${total}`);
    const report = await verifyDataset({ ...set, fast: false, workers: 2, onProgress });
    t.deepEqual(report.problems, []);
    t.true(report.synthetic);
    t.deepEqual(report.splits, { train: { images: 3, expected: 3 }, val: { images: 1, expected: 1 } });
    t.deepEqual(progress, ['0/4', '1/4', '2/4', '3/4', '4/4']);
    t.deepEqual((await verify(set, true)).problems, []);
  });
}

// The main thread checks a few images; more are worth a worker.
for (const images of [8, 20]) {
  test(`every broken file of ${images} images is named, in the order of splits and names`, async (t) => {
    const set = await generated(t, 'ade20k', images);
    const train = await readSplit(set.dataset, 'train', set.dataRoot);
    const [val] = await readSplit(set.dataset, 'val', set.dataRoot);
    await truncate(train[0]!.image, 600);
    await rewriteLabels(train[1]!.label, { value: 151 });
    await rewriteLabels(train[2]!.label, { height: 20 });
    await rm(train[3]!.label);
    await writeFile(train[4]!.label, 'no image');
    await rm(train[5]!.image);
    await truncate(val!.label, 60);
    const report = await verify(set);
    const expected = [
      [train[3]!.label, /does not exist: .*ADE_train_00000004\.jpg has no label/],
      [set.directory, new RegExp(`the split "train" has ${train.length - 2} images, ${train.length} were generated`)],
      [train[0]!.image, /the image cannot be decoded/],
      [
        train[1]!.label,
        /label value 151 at column 5, row 0 is no class of ADE20K: expected 1 to 150 \(or 0: no class\)/,
      ],
      [train[2]!.label, /is \d+×20 pixels, but its image is \d+×\d+/],
      [train[4]!.label, /the label map cannot be decoded: not a PNG/],
      [val!.label, /the label map cannot be decoded: truncated/],
    ] as const;
    t.deepEqual(
      report.problems.map(({ file }) => path.relative(set.dataRoot, file)),
      expected.map(([file]) => path.relative(set.dataRoot, file)),
    );
    for (const [i, [file, message]] of expected.entries()) {
      t.regex(report.problems[i]!.message, message);
      t.true(report.problems[i]!.message.includes(file));
    }
    t.deepEqual(
      report.problems.map(({ split }) => split),
      [...Array(6).fill('train'), 'val'],
    );
    t.is(report.warnings[0]!.file, train[5]!.label);
    t.is(report.warnings[0]!.message, `${train[5]!.label} is the label of no image.`);
  });
}

test('fast looks at headers: sizes and kinds of files, not at their pixels', async (t) => {
  const set = await generated(t, 'camvid', 8);
  const train = await readSplit(set.dataset, 'train', set.dataRoot);
  // Not found: pixels and label values.
  await rewriteLabels(train[0]!.label, { value: 99 });
  await truncate(train[1]!.image, (await readFile(train[1]!.image)).length - 20);
  // Found: files that do not begin like an image, and another size.
  await rewriteLabels(train[2]!.label, { height: 32 });
  await writeFile(train[3]!.image, '');
  await writeFile(train[4]!.label, await readFile(train[4]!.image));
  const seen = messages(await verify(set, true));
  t.is(seen.length, 3);
  t.regex(seen[0]!, /is 64×32 pixels, but its image is 64×64/);
  t.regex(seen[1]!, /the image cannot be decoded/);
  t.regex(seen[2]!, /the label map cannot be decoded: not a PNG/);
  t.is(messages(await verify(set)).length, 5);
});

test('lists: a missing list, an unknown name, a repeated name, an image in two splits', async (t) => {
  const set = await generated(t, 'voc2012-aug', 8);
  const list = (name: string) => path.join(set.directory, 'ImageSets', 'Segmentation', `${name}.txt`);
  const [first] = (await readFile(list('train'), 'utf8')).split('\n');
  const image = path.join(set.directory, 'JPEGImages', `${first}.jpg`);
  await appendFile(list('train'), `${first}\nunknown\n`);
  await appendFile(list('val'), `${first}\n`);
  t.deepEqual(messages(await verify(set, true)), [
    `${path.join(set.directory, 'JPEGImages', 'unknown.jpg')} does not exist, but ${list('train')} names it.`,
    `${list('train')} names ${first} more than once.`,
    `${image} is in the split "train" 2 times.`,
    `${set.directory}: the split "train" has 7 images, 6 were generated.`,
    `${set.directory}: the split "val" has 3 images, 2 were generated.`,
    `${image} is in the split "train" and in "val".`,
  ]);
  await rm(list('aug'));
  const [missing] = messages(await verify(set, true)).filter((message) => message.includes('aug'));
  t.is(missing, `${list('aug')} does not exist.`);
});

test('a name in a list that leads out of the folder is refused, even if bad samples may be left out', async (t) => {
  const set = await generated(t, 'voc2012-aug', 8);
  const list = path.join(set.directory, 'ImageSets', 'Segmentation', 'val.txt');
  for (const name of ['../JPEGImages/2007_000001', '/etc/passwd', './2007_000001', 'a/../2007_000001', '..']) {
    await writeFile(list, `\n${name}\n`);
    for (const incomplete of ['refused', 'kept'] as const) {
      await t.throwsAsync(readSplit(set.dataset, 'val', set.dataRoot, incomplete), {
        instanceOf: UserError,
        message: `${list}:2: ${name} is not the name of an image below the folder of images.`,
      });
    }
  }
});

test('a missing folder is one problem, and everything else is still checked', async (t) => {
  const set = await generated(t, 'cityscapes', 4, 64);
  await rm(path.join(set.directory, 'gtFine', 'train'), { recursive: true });
  const [val] = await readSplit(set.dataset, 'val', set.dataRoot);
  await rewriteLabels(val!.label, { value: 19 });
  const report = await verify(set);
  t.is(report.problems.length, 2);
  t.regex(report.problems[0]!.message, /gtFine.train, the folder of its labels, does not exist/);
  t.regex(report.problems[1]!.message, /label value 19 .* expected 0 to 18, or 255/);
});

test('a data set that is not synthetic is compared with the published numbers and size', async (t) => {
  const set = await generated(t, 'camvid', 4);
  await rm(path.join(set.directory, 'synthetic.json'));
  const report = await verify(set, true);
  t.false(report.synthetic);
  t.deepEqual(report.splits.train, { images: 3, expected: 367 });
  const files = messages(report);
  const [train, val] = report.warnings.map(({ message }) => message);
  t.regex(train!, /the split "train" has 3 images, 367 are expected, but nobody has confirmed that number/);
  t.regex(val!, /the split "val" has 1 image, 101 are expected, but nobody has confirmed that number/);
  t.is(files.length, 4);
  t.true(files.every((message) => / is 64×64 pixels, expected 480×360\.$/.test(message)));
  // Other numbers than confirmed ones are problems, and so are others than those in a user's own description.
  for (const evidence of ['primary', null] as const) {
    const confirmed: Dataset = { ...set.dataset, published: { ...set.dataset.published!, evidence } };
    const { problems, warnings } = await verify({ ...set, dataset: confirmed }, true);
    t.regex(problems[0]!.message, /the split "train" has 3 images, 367 were published\.$/);
    t.deepEqual(warnings, []);
  }
  // A description without published facts expects nothing.
  const own: Dataset = { ...set.dataset, published: null };
  t.deepEqual((await verify({ ...set, dataset: own })).problems, []);
});

test('files may be links', async (t) => {
  const set = await generated(t, 'camvid', 4);
  const moved = path.join(await temporaryFolder(t), 'images');
  await cp(path.join(set.directory, 'images'), moved, { recursive: true });
  await rm(path.join(set.directory, 'images'), { recursive: true });
  await symlink(moved, path.join(set.directory, 'images'));
  t.deepEqual((await verify(set)).problems, []);
  const [entry] = await readSplit(set.dataset, 'val', set.dataRoot);
  await rm(entry!.label);
  await symlink('/nowhere', entry!.label);
  // A link to nothing counts as missing.
  t.regex(messages(await verify(set))[0]!, /0016E5_000001\.png does not exist/);
});

test('a link to a folder that contains it is left out', async (t) => {
  const set = await generated(t, 'camvid', 4);
  const entries = await readSplit(set.dataset, 'train', set.dataRoot);
  for (const name of ['loop', 'loop2', 'loop3']) await symlink('..', path.join(set.directory, 'images', name));
  t.deepEqual(await readSplit(set.dataset, 'train', set.dataRoot), entries);
  t.deepEqual((await verify(set)).problems, []);
});

test('an unfinished preparation is not verified', async (t) => {
  const set = await generated(t, 'camvid', 4);
  const marker = { dataset: 'camvid', version: 1, inputs: [{ name: 'camvid.zip', bytes: 1, sha256: '' }] };
  await writeFile(path.join(set.directory, PREPARING_MARKER), JSON.stringify(marker));
  for (const fast of [true, false]) {
    await t.throwsAsync(verify(set, fast), {
      name: 'UserError',
      message: /preparation of this data set is not finished/,
    });
  }
});

test('an unknown split is an error, even if every object has a property of that name', async (t) => {
  const { dataset, dataRoot } = await generated(t, 'camvid', 4);
  for (const split of ['test', 'constructor', '__proto__']) {
    await t.throwsAsync(readSplit(dataset, split, dataRoot), {
      instanceOf: UserError,
      message: `CamVid has no split "${split}". Known: train, val.`,
    });
  }
});

test('a missing data set, a damaged marker and an abort are errors', async (t) => {
  const set = await generated(t, 'camvid', 4);
  const reason = new Error('stop');
  await t.throwsAsync(verifyDataset({ ...set, fast: true, workers: 1, signal: AbortSignal.abort(reason) }), {
    is: reason,
  });
  await t.throwsAsync(verify({ ...set, dataRoot: path.join(set.dataRoot, 'none') }), { name: 'UserError' });
  await writeFile(path.join(set.directory, 'synthetic.json'), '{}');
  await t.throwsAsync(verify(set), { name: 'UserError', message: /synthetic\.json does not say/ });
});

function report(problems: number, kind: Problem['kind'] = 'label value'): string[] {
  const text = formatDatasetVerification({
    ...{
      dataset: 'mine',
      name: 'Mine',
      folder: '/data/mine',
      synthetic: false,
      fast: false,
      hashes: 20,
      deviations: [],
    },
    expectedBy: 'published',
    splits: { train: { images: 5, expected: 5 }, val: { images: 3, expected: 4 }, test: { images: 2, expected: null } },
    problems: Array.from({ length: problems }, (_, i) => ({
      ...{
        file: `/data/mine/labels/${i}.png`,
        split: 'train',
        kind,
        message: `${i} is bad.`,
        detail: `value ${i + 7}`,
      },
    })),
    warnings: [],
  });
  return text.split('\n');
}

test('a report counts, and puts many problems of one kind into one line', (t) => {
  const clean = report(0);
  t.is(clean[0], 'Mine in /data/mine');
  t.regex(clean[1]!, /train +5 images with labels, as published$/);
  t.regex(clean[2]!, /val +3 images with labels, 4 expected$/);
  t.regex(clean[3]!, /test +2 images with labels$/);
  t.regex(clean.at(-1)!, /^✓ Nothing is wrong \(checked: .*, 20 recorded hashes\)\.$/);
  const broken = report(20);
  t.deepEqual(broken.slice(4, -1), [
    '  ✗ 20 label maps hold values that are no class, such as labels/0.png (value 7), labels/1.png (value 8) and labels/2.png (value 9).',
    '  --json names every file.',
  ]);
  t.regex(broken.at(-1)!, /^✗ 20 problems /);
  t.deepEqual(report(3).slice(4, -1), ['  ✗ 0 is bad.', '  ✗ 1 is bad.', '  ✗ 2 is bad.']);
  t.regex(report(1).at(-1)!, /^✗ 1 problem /);
});
