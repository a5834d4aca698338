import { appendFile, cp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Dataset } from '../../src/data/dataset.js';
import { decodeLabels } from '../../src/data/decode.js';
import { loadDataset } from '../../src/data/description.js';
import { PREPARING_MARKER } from '../../src/data/markers.js';
import { encodePng } from '../../src/data/palette.js';
import type { Problem } from '../../src/data/problem.js';
import { readSplit } from '../../src/data/split.js';
import { type DatasetVerification, formatDatasetVerification, verifyDataset } from '../../src/datasets/verify.js';
import { UserError } from '../../src/support/errors.js';
import { type GeneratedDataset, generated } from '../helpers/datasets.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

function verify({ dataset, dataRoot }: GeneratedDataset, fast = false): Promise<DatasetVerification> {
  return verifyDataset({ dataset, dataRoot, fast, workers: 1 });
}

const messages = ({ problems }: DatasetVerification) => problems.map(({ message }) => message);

/** Writes a label map again with one pixel changed, or of another size. */
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
  test(`${id}: nothing is wrong with a data set as it was generated`, async (t) => {
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

test('every broken file is named, in the order of splits and names', async (t) => {
  const set = await generated(t, 'ade20k', 8);
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
    [set.directory, /the split "train" has 4 images, 6 were generated/],
    [train[0]!.image, /the image cannot be decoded/],
    [train[1]!.label, /label value 151 at column 5, row 0 is no class of ADE20K: expected 1 to 150 \(or 0: no class\)/],
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

test('fast looks at headers: sizes and kinds of files, not at their pixels', async (t) => {
  const set = await generated(t, 'camvid', 8);
  const train = await readSplit(set.dataset, 'train', set.dataRoot);
  // Not seen: pixels and label values.
  await rewriteLabels(train[0]!.label, { value: 99 });
  await truncate(train[1]!.image, (await readFile(train[1]!.image)).length - 20);
  // Seen: what no image begins like, and another size.
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

test('lists: a missing one, an unknown name, a name twice, an image of two splits', async (t) => {
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

test('a name in a list that leads elsewhere is refused, whether or not bad samples may be left out', async (t) => {
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

test('a folder that is missing is one problem, and the rest is checked all the same', async (t) => {
  const set = await generated(t, 'cityscapes', 4, 64);
  await rm(path.join(set.directory, 'gtFine', 'train'), { recursive: true });
  const [val] = await readSplit(set.dataset, 'val', set.dataRoot);
  await rewriteLabels(val!.label, { value: 19 });
  const report = await verify(set);
  t.is(report.problems.length, 2);
  t.regex(report.problems[0]!.message, /gtFine.train, the folder of its labels, does not exist/);
  t.regex(report.problems[1]!.message, /label value 19 .* expected 0 to 18, or 255/);
});

test('what is not synthetic is compared with the published numbers and size', async (t) => {
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
  // Numbers that somebody has confirmed are a matter of right and wrong, as are those that a description states as its own.
  for (const evidence of ['primary', null] as const) {
    const confirmed: Dataset = { ...set.dataset, published: { ...set.dataset.published!, evidence } };
    const { problems, warnings } = await verify({ ...set, dataset: confirmed }, true);
    t.regex(problems[0]!.message, /the split "train" has 3 images, 367 were published\.$/);
    t.deepEqual(warnings, []);
  }
  // A description without published facts asks for none.
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
  // A link to nothing is as good as nothing.
  t.regex(messages(await verify(set))[0]!, /0016E5_000001\.png does not exist/);
});

test('a link to a folder that it is in leads nowhere', async (t) => {
  const set = await generated(t, 'camvid', 4);
  const entries = await readSplit(set.dataset, 'train', set.dataRoot);
  for (const name of ['loop', 'loop2', 'loop3']) await symlink('..', path.join(set.directory, 'images', name));
  t.deepEqual(await readSplit(set.dataset, 'train', set.dataRoot), entries);
  t.deepEqual((await verify(set)).problems, []);
});

test('a preparation that is not finished is not verified, whatever is there already', async (t) => {
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

test('a split that the data set does not have is an error, also with the name of something every object has', async (t) => {
  const { dataset, dataRoot } = await generated(t, 'camvid', 4);
  for (const split of ['test', 'constructor', '__proto__']) {
    await t.throwsAsync(readSplit(dataset, split, dataRoot), {
      instanceOf: UserError,
      message: `CamVid has no split "${split}". Known: train, val.`,
    });
  }
});

test('no data set and an abort are errors', async (t) => {
  const set = await generated(t, 'camvid', 4);
  const reason = new Error('stop');
  await t.throwsAsync(verifyDataset({ ...set, fast: true, workers: 1, signal: AbortSignal.abort(reason) }), {
    is: reason,
  });
  await t.throwsAsync(verify({ ...set, dataRoot: path.join(set.dataRoot, 'none') }), { name: 'UserError' });
  await writeFile(path.join(set.directory, 'synthetic.json'), '{}');
  await t.throwsAsync(verify(set), { name: 'UserError', message: /synthetic\.json does not say/ });
});

interface Layout {
  /** Content of the description from its splits on. */
  readonly splits: string;
  readonly files: readonly string[];
  readonly lines?: string;
  /** Values of every label map. */
  readonly values?: readonly number[];
}

/** A data set of two classes whose files are images and labels of 4×1 pixels, alike. */
async function verifyLayout(t: ExecutionContext, { splits, files, lines = '', values = [0, 1, 1, 0] }: Layout) {
  const root = await temporaryFolder(t);
  const size = { height: 1, width: values.length };
  const png = await encodePng(Uint8Array.from(values), size, { colourType: 'grey', filter: 'none', level: 1 });
  await writeFiles(root, {
    'own.yaml': `name: Own\nfolder: own\nignoreIndex: 255\nreduceZeroLabel: false\nobtain: "-"\n${lines}splits:\n${splits}
classes: [{ name: field, colour: [0, 0, 0] }, { name: hedge, colour: [0, 9, 0] }]\n`,
    ...Object.fromEntries(files.map((file) => [`own/${file}`, file.endsWith('.txt') ? '' : png])),
  });
  const dataset = await loadDataset(path.join(root, 'own.yaml'));
  const report = await verifyDataset({ dataset, dataRoot: root, fast: false, workers: 1 });
  const own = path.join(root, 'own');
  const told = (found: readonly { readonly message: string }[]) =>
    found.map(({ message }) => message.replaceAll(`${own}${path.sep}`, ''));
  return { own, report, problems: told(report.problems), warnings: told(report.warnings) };
}

const source = (images: string, labels: string, suffix = '.png', list = '') =>
  `{ images: ${images}, labels: ${labels}, imageSuffix: ${suffix}, labelSuffix: .png${list} }`;

test('a folder of labels may be shared: by splits, by sources of one split, with and without lists, and from above', async (t) => {
  const shared = await verifyLayout(t, {
    splits: `  train: [${source('train', 'all')}]\n  val: [${source('val', 'all')}]`,
    files: ['train/a.png', 'val/b.png', 'all/a.png', 'all/b.png'],
  });
  t.deepEqual([shared.problems, shared.warnings], [[], []]);
  const bySuffix = await verifyLayout(t, {
    splits: `  train: [${source('images', 'all')}, ${source('images', 'all', '.PNG')}]`,
    files: ['images/a.png', 'images/b.PNG', 'all/a.png', 'all/b.png'],
  });
  t.deepEqual([bySuffix.problems, bySuffix.warnings], [[], []]);
  const nested = await verifyLayout(t, {
    splits: `  train: [${source('train', 'all')}]\n  val: [${source('val', 'all/val')}]`,
    files: ['train/a.png', 'val/b.png', 'all/a.png', 'all/val/b.png'],
  });
  t.deepEqual([nested.problems, nested.warnings], [[], []]);
  // An image that a list does not name still has its label.
  const listed = await verifyLayout(t, {
    splits: `  train: [${source('train', 'all')}]\n  val: [${source('val', 'all', '.png', ', list: val.txt')}]`,
    files: ['train/a.png', 'val/b.png', 'all/a.png', 'all/b.png', 'val.txt'],
  });
  t.deepEqual(listed.problems, [`The split "val": val.txt names no image.`]);
  t.deepEqual(listed.warnings, []);
});

test('a label that no image has is a warning, once, and names an image of another suffix', async (t) => {
  const { problems, warnings } = await verifyLayout(t, {
    splits: `  train: [${source('train', 'all')}]\n  val: [${source('val', 'all')}]`,
    files: ['train/a.png', 'train/c.PNG', 'val/b.png', 'all/a.png', 'all/b.png', 'all/c.png', 'all/d.png'],
  });
  t.deepEqual(problems, []);
  t.deepEqual(warnings, [
    'all/c.png is the label of no image: train/c.PNG does not end in .png.',
    'all/d.png is the label of no image.',
  ]);
});

test('a split without images is a problem that names what is there instead', async (t) => {
  const none = async (splits: string, ...files: string[]) => {
    const { problems } = await verifyLayout(t, { splits, files });
    return problems.at(-1);
  };
  const upper = ['images/a.PNG', 'images/b.PNG', 'images/note.txt', 'labels/a.png', 'labels/b.png'];
  t.regex(
    (await none(`  train: [${source('images', 'labels')}]`, ...upper))!,
    /^The split "train": no image \*\.png in images; the folder holds 2 \*\.PNG and 1 \*\.txt, such as a\.PNG\.$/,
  );
  t.regex(
    (await none(`  train: [${source('images', 'labels', '_left.png')}]`, 'images/a.png', 'labels/a.png'))!,
    /no image \*_left\.png in images; the folder holds 1 \*\.png, such as a\.png\.$/,
  );
  t.regex(
    (await none(`  train: [${source('images', 'labels')}]`, 'images/a.png', 'labels/a.PNG'))!,
    /no image has a label in labels, as NAME\.png; the folder holds 1 \*\.PNG, such as a\.PNG\.$/,
  );
  t.regex(
    (await none(`  train: [${source('images', 'labels')}]`, 'images/.hidden', 'labels/a.png'))!,
    /no image \*\.png in images; the folder is empty\.$/,
  );
  // One of two, and one source of two.
  t.regex(
    (await none(
      `  train: [${source('images', 'labels')}]\n  val: [${source('val', 'labels', '.jpg')}]`,
      ...['images/a.png', 'labels/a.png', 'val/b.png'],
    ))!,
    /^The split "val": no image \*\.jpg in val; the folder holds 1 \*\.png, such as b\.png\.$/,
  );
  t.regex(
    (await none(
      `  train: [${source('images', 'labels')}, ${source('images', 'labels', '.jpeg')}]`,
      'images/a.png',
      'labels/a.png',
    ))!,
    /^The split "train": no image \*\.jpeg in images; the folder holds 1 \*\.png, such as a\.png\.$/,
  );
});

test('classes that no training label holds are a warning, and masks of 0 and 255 get advice', async (t) => {
  const layout = { splits: `  train: [${source('images', 'labels')}]`, files: ['images/a.png', 'labels/a.png'] };
  const advised = async (values: readonly number[], lines = '') =>
    (await verifyLayout(t, { ...layout, values, lines })).warnings;
  t.deepEqual(await advised([0, 1, 255]), []);
  t.deepEqual(await advised([0, 255, 0]), [
    'hedge occurs in no label of train.',
    'The labels of train hold only 0 and 255, and 255 is ignored: if it stands for hedge, write "labels: { 255: 1 }" in the description of the data set.',
  ]);
  t.deepEqual(await advised([0, 255, 0], 'labels: { 255: 1 }\n'), []);
  t.deepEqual(await advised([0, 0]), ['hedge occurs in no label of train.']);
  t.is((await advised([255, 255]))[0], 'field and hedge occur in no label of train.');
  const changed = async (values: readonly number[], change: Partial<Dataset>) => {
    const { own } = await verifyLayout(t, { ...layout, values });
    const dataRoot = path.dirname(own);
    const dataset = { ...(await loadDataset(path.join(dataRoot, 'own.yaml'))), ...change };
    const { problems, warnings } = await verifyDataset({ dataset, dataRoot, fast: false, workers: 1 });
    return [problems.map(({ detail }) => detail), warnings.map(({ message }) => message)];
  };
  // Of one class every answer is right.
  const [, alone] = await changed([0, 255], { classes: ['coin'] });
  t.is(alone!.length, 1);
  t.regex(String(alone![0]), /hold only 0 and 255: 0 is coin, the only class, .* write "labels: \{ 255: 1 \}"\.$/);
  t.deepEqual((await changed([0, 255], { classes: ['coin'], labels: { 255: 0 } }))[1], []);
  t.deepEqual((await changed([0, 0], { classes: ['coin'] }))[1], []);
  // Labels of two classes of which the first is taken for none.
  t.deepEqual(await changed([0, 1], { reduceZeroLabel: true }), [
    [],
    [
      'hedge occurs in no label of train.',
      'The labels of train hold 0, which reduceZeroLabel ignores, and no 2: if 0 stands for field, write "reduceZeroLabel: false" in the description of the data set.',
    ],
  ]);
  // Where 255 is no class either, the label is wrong, and the advice is the same.
  t.deepEqual(await changed([0, 255], { ignoreIndex: 100 }), [
    ['value 255'],
    [
      'hedge occurs in no label of train.',
      'The labels of train hold only 0 and 255, and 255 is no class: if it stands for hedge, write "labels: { 255: 1 }" in the description of the data set.',
    ],
  ]);
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

test('a report counts, and tells many problems of one kind in one line', (t) => {
  const clean = report(0);
  t.is(clean[0], 'Mine in /data/mine');
  t.regex(clean[1]!, /train +5 images with labels, as published$/);
  t.regex(clean[2]!, /val +3 images with labels, 4 expected$/);
  t.regex(clean[3]!, /test +2 images with labels$/);
  t.regex(clean.at(-1)!, /^✓ Nothing is wrong \(checked: .*, 20 recorded hashes\)\.$/);
  const broken = report(20);
  t.deepEqual(broken.slice(4, -1), [
    '  ✗ 20 label maps hold what is no class, such as labels/0.png (value 7), labels/1.png (value 8) and labels/2.png (value 9).',
    '  --json names every file.',
  ]);
  t.regex(broken.at(-1)!, /^✗ 20 problems /);
  t.deepEqual(report(3).slice(4, -1), ['  ✗ 0 is bad.', '  ✗ 1 is bad.', '  ✗ 2 is bad.']);
  t.regex(report(1).at(-1)!, /^✗ 1 problem /);
});

test('images and labels of one folder, or of one below the other, are told apart by folder and suffix', async (t) => {
  const pair = (images: string, labels: string, imageSuffix: string, labelSuffix: string) =>
    `  train: [{ images: ${images}, labels: ${labels}, imageSuffix: ${imageSuffix}, labelSuffix: ${labelSuffix} }]`;
  const cases: [string, string[]][] = [
    [pair('all', 'all', '.png', '_mask.png'), ['all/a.png', 'all/a_mask.png', 'all/b.png', 'all/b_mask.png']],
    [pair('all', 'all', '_photo.png', '.png'), ['all/a.png', 'all/a_photo.png', 'all/b.png', 'all/b_photo.png']],
    [pair('all', 'all/masks', '.png', '.png'), ['all/a.png', 'all/masks/a.png', 'all/b.png', 'all/masks/b.png']],
    [pair('all/photos', 'all', '.png', '.png'), ['all/a.png', 'all/photos/a.png', 'all/b.png', 'all/photos/b.png']],
  ];
  for (const [splits, files] of cases) {
    const { report, problems, warnings } = await verifyLayout(t, { splits, files });
    t.deepEqual([report.splits['train']!.images, problems, warnings], [2, [], []], splits);
  }
});

test('what is wrong with files that two splits share is told once', async (t) => {
  const { problems } = await verifyLayout(t, {
    splits: `  train: [${source('images', 'labels')}]\n  val: [${source('images', 'labels')}]`,
    files: ['images/a.png', 'images/b.png', 'images/c.png', 'labels/a.png', 'labels/b.png'],
    values: [0, 1, 9],
  });
  const of = (pattern: RegExp) => problems.filter((message) => pattern.test(message)).length;
  t.is(of(/label value 9/), 2);
  t.is(of(/labels\/c\.png does not exist/), 1);
  t.is(of(/is in the split "train" and in "val"/), 2);
});
