import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Dataset } from '../../src/data/dataset.js';
import { loadDataset } from '../../src/data/description.js';
import { encodePng } from '../../src/data/png-write.js';
import { verifyDataset } from '../../src/datasets/verify.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

interface Layout {
  /** The description from its splits on. */
  readonly splits: string;
  readonly files: readonly string[];
  readonly lines?: string;
  /** Values of every label map. */
  readonly values?: readonly number[];
}

/** Verifies a data set of two classes whose images and labels are all the same row of pixels. */
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

test('a label without an image gives one warning, which names an image with another suffix', async (t) => {
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

test('a split without images is a problem that says what the folder holds', async (t) => {
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
  // One of two splits, and one of two sources.
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
  // With one class, every answer is right.
  const [, alone] = await changed([0, 255], { classes: ['coin'] });
  t.is(alone!.length, 1);
  t.regex(String(alone![0]), /hold only 0 and 255: 0 is coin, the only class, .* write "labels: \{ 255: 1 \}"\.$/);
  t.deepEqual((await changed([0, 255], { classes: ['coin'], labels: { 255: 0 } }))[1], []);
  t.deepEqual((await changed([0, 0], { classes: ['coin'] }))[1], []);
  // Labels of two classes, the first of which is ignored by mistake.
  t.deepEqual(await changed([0, 1], { reduceZeroLabel: true }), [
    [],
    [
      'hedge occurs in no label of train.',
      'The labels of train hold 0, which reduceZeroLabel ignores, and no 2: if 0 stands for field, write "reduceZeroLabel: false" in the description of the data set.',
    ],
  ]);
  // If 255 is not a class either, the label is wrong, and the advice is the same.
  t.deepEqual(await changed([0, 255], { ignoreIndex: 100 }), [
    ['value 255'],
    [
      'hedge occurs in no label of train.',
      'The labels of train hold only 0 and 255, and 255 is no class: if it stands for hedge, write "labels: { 255: 1 }" in the description of the data set.',
    ],
  ]);
});

test('images and labels in the same folder, or one below the other, are distinguished by folder and suffix', async (t) => {
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

test('a problem with files that two splits share is reported once', async (t) => {
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

test('a label of two images may be in one split, but not in two', async (t) => {
  const files = ['images/a.png', 'images/a.jpg', 'labels/a.png'];
  const both = [source('images', 'labels'), source('images', 'labels', '.jpg')];
  const one = await verifyLayout(t, { splits: `  train: [${both.join(', ')}]`, files });
  t.deepEqual(one.problems, []);
  const two = await verifyLayout(t, { splits: `  train: [${both[0]}]\n  val: [${both[1]}]`, files });
  t.deepEqual(two.problems, [
    'labels/a.png is the label of an image in the split "train" and of images/a.jpg in "val".',
  ]);
});
