import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { decodeLabels } from '../../src/data/decode.js';
import { datasetIds, loadDataset } from '../../src/data/description.js';
import { datasetFingerprint } from '../../src/data/fingerprint.js';
import { readSplit } from '../../src/data/split.js';
import { listDatasets } from '../../src/datasets/list.js';
import { readFacts } from '../helpers/facts.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { withShared } from '../helpers/shared.js';

const DESCRIPTION = `name: Mine
folder: mine
ignoreIndex: 255
reduceZeroLabel: false
obtain: Ask its owner.
splits:
  train:
    - { images: images, labels: first, imageSuffix: .jpg, labelSuffix: _label.png, list: lists/train.txt }
    - { images: images, labels: second, imageSuffix: .jpg, labelSuffix: .png, list: lists/more.txt }
  val:
    - { images: images, labels: second, imageSuffix: .jpg, labelSuffix: .png }
classes:
  - { name: sky, colour: [1, 2, 3] }
  - { name: ground, colour: [4, 5, 6] }
`;

/** Ids here and in the reference. */
const PUBLISHED_SETS = {
  ade20k: 'ade20k',
  cityscapes: 'cityscapes',
  'pascal-context': 'pascal_context',
  'pascal-context-59': 'pascal_context_59',
  'voc2012-aug': 'voc12aug',
} as const;

interface ReferenceDataset {
  classes: string[];
  palette: number[][];
  imageSuffix: string;
  labelSuffix: string;
  reduceZeroLabel: boolean;
  ignoreIndex: number;
}

/** Where a row of the reference looks for a data set. */
interface ReferenceFolders {
  images: string;
  annotations: string | string[];
  split: string | string[] | null;
}

interface ReferenceRow {
  table: string;
  train: ReferenceFolders & { dataRoot: string; reduceZeroLabel: boolean };
  test: ReferenceFolders;
}

test('the data sets of the published tables, and CamVid, are described', async (t) => {
  t.deepEqual(await datasetIds(), [...Object.keys(PUBLISHED_SETS), 'camvid'].sort());
  const camvid = await loadDataset('camvid');
  t.is(camvid.classes.length, 11);
  t.deepEqual(camvid.palette[8], [64, 0, 128]);
  const voc = await loadDataset('voc2012-aug');
  // 1,464 + 9,118
  t.like(voc.published, { images: { train: 10582, val: 1449 }, size: null });
  t.deepEqual((await loadDataset('cityscapes')).published?.size, { height: 1024, width: 2048 });
});

test('every number of images says where it was read, and belongs to one source', async (t) => {
  for (const id of await datasetIds()) {
    const { published } = await loadDataset(id);
    for (const { images, evidence, readIn } of [published!, ...Object.values(published!.otherSources)]) {
      t.deepEqual(Object.keys(images), ['train', 'val'], id);
      t.is(evidence === 'unconfirmed', id === 'camvid', id);
      t.truthy(readIn, id);
    }
  }
  const context = (await loadDataset('pascal-context')).published!;
  // What the original's converter takes, and so what the published figures are of.
  t.deepEqual(context.images, { train: 4996, val: 5104 });
  t.deepEqual(context.otherSources['label-maps']?.images, { train: 4998, val: 5105 });
  t.deepEqual((await loadDataset('pascal-context-59')).published?.images, context.images);
});

for (const [id, key] of Object.entries(PUBLISHED_SETS)) {
  test(`${id}: classes, colours, folders and lists are the published ones`, async (t) => {
    const reference = readFacts<Record<string, ReferenceDataset>>('datasets')[key]!;
    const dataset = await loadDataset(id);
    t.deepEqual(dataset.classes, reference.classes);
    t.deepEqual(dataset.palette as unknown, reference.palette);
    t.is(dataset.reduceZeroLabel, reference.reduceZeroLabel);
    t.is(dataset.ignoreIndex, reference.ignoreIndex);

    const rows = readFacts<ReferenceRow[]>('rows').filter(({ table }) => table === dataset.name);
    t.true(rows.length > 0);
    for (const { train, test } of rows) {
      t.is(dataset.folder, train.dataRoot.replace(/^data\//, '').replace(/\/$/, ''));
      t.is(dataset.reduceZeroLabel, train.reduceZeroLabel);
      for (const [split, { images, annotations, split: lists }] of Object.entries({ train, val: test })) {
        const listed = [lists].flat();
        const expected = [annotations].flat().map((labels, i) => ({
          images,
          labels,
          imageSuffix: reference.imageSuffix,
          labelSuffix: reference.labelSuffix,
          list: listed[i] ?? null,
        }));
        t.deepEqual(dataset.splits[split], expected);
      }
    }
  });
}

test('an unknown data set is an error with a suggestion', async (t) => {
  await t.throwsAsync(loadDataset('citiscapes'), {
    name: 'UserError',
    message: /"citiscapes".*ade20k, camvid, cityscapes/,
  });
  const error = await t.throwsAsync<Error & { next?: string }>(loadDataset('citiscapes'));
  t.is(error?.next, 'Did you mean cityscapes?');
});

test('mistakes in a description are errors with file and line', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'mine.yaml');
  const cases: [(text: string) => string, RegExp][] = [
    [(text) => text.replace('folder: mine', 'folder: [mine'), /mine\.yaml:\d+: /],
    [(text) => text.replace('folder: mine', 'folder: ../mine'), /mine\.yaml:2: folder: expected a path relative/],
    [(text) => text.replace('ignoreIndex: 255', 'ignoreIndex: 1'), /mine\.yaml:3: ignoreIndex: .*labels are 0 to 1/],
    [(text) => text.replace('[4, 5, 6]', '[4, 5, 600]'), /mine\.yaml:14: classes\[1\]\.colour\[2\]: /],
    [(text) => text.replace('ground', 'sky'), /mine\.yaml:14: classes\[1\]\.name: two classes are called "sky"/],
    [
      (text) => text.replace('splits:', 'published: { images: { train: 2, test: 3 } }\nsplits:'),
      /mine\.yaml:6: published\.images\.test: no such split; known: train, val/,
    ],
    [
      (text) => text.replace('splits:', 'published: { images: { train: 0 } }\nsplits:'),
      /mine\.yaml:6: published\.images\.train: /,
    ],
    [(text) => text.replace('obtain', 'obtian'), /mine\.yaml:\d+: .*obtain/],
    [(text) => text.replace('name: Mine', 'name: Mine\nname: Yours'), /mine\.yaml:2: .*unique/],
  ];
  for (const [change, message] of cases) {
    await writeFile(file, change(DESCRIPTION));
    await t.throwsAsync(loadDataset(file), { name: 'UserError', message });
  }
  await t.throwsAsync(loadDataset(path.join(folder, 'none.yaml')), {
    name: 'UserError',
    message: /none\.yaml does not exist/,
  });
});

async function mine(t: Parameters<typeof temporaryFolder>[0]) {
  const folder = await temporaryFolder(t);
  const names = ['a', 'b', 'c', 'deep/d'];
  await writeFiles(folder, {
    'mine.yaml': DESCRIPTION,
    'mine/lists/train.txt': 'b\na\n',
    'mine/lists/more.txt': 'c\r\n\r\ndeep/d\r\n',
    'mine/images/.hidden.jpg': '',
    'mine/images/other.txt': '',
    ...Object.fromEntries(names.map((name) => [`mine/images/${name}.jpg`, ''])),
    ...Object.fromEntries(names.map((name) => [`mine/second/${name}.png`, ''])),
    'mine/first/a_label.png': '',
    'mine/first/b_label.png': '',
  });
  return { root: folder, dataset: await loadDataset(path.join(folder, 'mine.yaml')) };
}

test('a split is read from folders or lists, of several sources in order, each sorted by name', async (t) => {
  const { root, dataset } = await mine(t);
  const train = await readSplit(dataset, 'train', root);
  t.deepEqual(
    train.map(({ name }) => name),
    ['a', 'b', 'c', 'deep/d'],
  );
  t.is(train[1]!.label, path.join(root, 'mine/first/b_label.png'));
  t.is(train[3]!.image, path.join(root, 'mine/images/deep/d.jpg'));
  t.is(train[3]!.label, path.join(root, 'mine/second/deep/d.png'));
  t.is((await readSplit(dataset, 'val', root)).length, 4);
});

test('a fingerprint tells other files from other names; a file that is missing keeps the names where it may be left out', async (t) => {
  const { root, dataset } = await mine(t);
  const fingerprint = (incomplete?: 'kept') => datasetFingerprint(dataset, ['train', 'val'], root, incomplete);
  const before = await fingerprint();
  for (const hash of [before.names, before.files]) t.regex(hash, /^[0-9a-f]{64}$/);
  t.deepEqual(before.images, { train: 4, val: 4 });
  t.deepEqual(await fingerprint(), before);
  await writeFile(path.join(root, 'mine/images/a.jpg'), 'longer');
  const longer = await fingerprint();
  t.is(longer.names, before.names);
  t.not(longer.files, before.files);

  await rm(path.join(root, 'mine/second/deep/d.png'));
  await t.throwsAsync(fingerprint(), { name: 'UserError', message: /has no label/ });
  const lacking = await fingerprint('kept');
  t.is(lacking.names, before.names);
  t.not(lacking.files, longer.files);
  await rm(path.join(root, 'mine/images/deep/d.jpg'));
  t.not((await fingerprint('kept')).names, before.names);
});

test('what is missing is named, with the path where it was expected', async (t) => {
  const { root, dataset } = await mine(t);
  const reading = (split = 'train', dataRoot = root) => readSplit(dataset, split, dataRoot);
  await t.throwsAsync(reading('test'), { name: 'UserError', message: /no split "test".*train, val/ });
  const absent = path.join(root, 'absent');
  const error = await t.throwsAsync<Error & { next?: string }>(reading('train', absent), { name: 'UserError' });
  t.true(error?.message.includes(`${absent} does not exist`) && error.message.includes(path.join(absent, 'mine')));
  t.regex(error?.next ?? '', /--data-root.*Ask its owner/);

  await rm(path.join(root, 'mine/second/deep/d.png'));
  const unlabelled = await t.throwsAsync(reading(), { name: 'UserError' });
  t.true(unlabelled?.message.includes(path.join(root, 'mine/images/deep/d.jpg')));
  t.true(unlabelled?.message.includes(path.join(root, 'mine/second/deep/d.png')));

  await writeFile(path.join(root, 'mine/lists/train.txt'), 'a\nzebra\nyak\n');
  await t.throwsAsync(reading(), {
    name: 'UserError',
    message: /train\.txt names an image that does not exist: .*yak\.jpg \(and 1 more\)/,
  });
  await rm(path.join(root, 'mine/lists/train.txt'));
  await t.throwsAsync(reading(), { name: 'UserError', message: /train\.txt does not exist/ });
  await rm(path.join(root, 'mine/first'), { recursive: true });
  await t.throwsAsync(reading(), {
    name: 'UserError',
    message: /mine.first, the folder of its labels, does not exist/,
  });
  await rm(path.join(root, 'mine/images'), { recursive: true });
  await mkdir(path.join(root, 'mine/images'));
  await t.throwsAsync(reading('val'), { name: 'UserError', message: /no image \*\.jpg in / });
});

withShared('camvid')('CamVid has the published numbers of images and label values', async (t, camvid) => {
  const root = path.dirname(camvid);
  const found = await listDatasets(root);
  t.deepEqual(found.find(({ id }) => id === 'camvid')?.images, { train: 367, val: 101 });
  t.regex(found.find(({ id }) => id === 'cityscapes')?.problem ?? '', /does not exist/);
  const seen = new Set<number>();
  for (const { label } of (await readSplit(await loadDataset('camvid'), 'val', root)).slice(0, 40)) {
    for (const value of (await decodeLabels(label)).data) seen.add(value);
  }
  t.deepEqual(
    [...seen].sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255],
  );
});
