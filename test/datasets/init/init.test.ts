import { existsSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadDataset } from '../../../src/data/description.js';
import type { Palette } from '../../../src/data/image.js';
import { encodePng } from '../../../src/data/png-write.js';
import { type Initialised, initialise } from '../../../src/datasets/init/init.js';
import { verifyDataset } from '../../../src/datasets/verify.js';
import { resolve } from '../../../src/recipe/resolve.js';
import { dataRootOf } from '../../../src/recipe/tables.js';
import { UserError } from '../../../src/support/errors.js';
import { temporaryFolder, writeFiles } from '../../helpers/folder.js';

const [WIDTH, HEIGHT] = [12, 8];
const image = (width = WIDTH, height = HEIGHT) =>
  encodePng(
    new Uint8Array(width * height * 3).fill(90),
    { width, height },
    { colourType: 'rgb', filter: 'none', level: 1 },
  );

/** A label map whose pixels take turns among the values. */
function labels(values: readonly number[], palette?: Palette, width = WIDTH) {
  const data = Uint8Array.from({ length: width * HEIGHT }, (_, i) => values[i % values.length]!);
  const colourType = palette === undefined ? 'grey' : 'palette';
  return encodePng(
    data,
    { width, height: HEIGHT },
    { colourType, filter: 'none', level: 1, ...(palette && { palette }) },
  );
}

function colours(used: Palette) {
  const pixels = Array.from({ length: WIDTH * HEIGHT }, (_, i) => used[i % used.length]!).flat();
  return encodePng(
    Uint8Array.from(pixels),
    { width: WIDTH, height: HEIGHT },
    { colourType: 'rgb', filter: 'none', level: 1 },
  );
}

type Files = Record<string, Uint8Array | string>;

async function pairs(
  names: readonly string[],
  label: (i: number) => Promise<Uint8Array>,
  suffix = '.png',
): Promise<Files> {
  const files: Files = {};
  for (const [i, name] of names.entries()) {
    files[`images/${name}.png`] = await image();
    files[`masks/${name}${suffix}`] = await label(i);
  }
  return files;
}

const NAMES = ['a', 'b', 'c', 'd', 'e'];

type Options = Partial<Parameters<typeof initialise>[0]>;

async function init(folder: string, options: Options = {}): Promise<Initialised> {
  const signal = new AbortController().signal;
  return initialise({
    directory: path.join(folder, 'mine'),
    images: path.join(folder, 'images'),
    labels: path.join(folder, 'masks'),
    force: false,
    signal,
    onProgress: () => {},
    ...options,
  });
}

/** Writes the files, describes them, and checks that the written files work with the data. */
async function described(t: ExecutionContext, files: Files, options: Options = {}) {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, files);
  const written = await init(folder, options);
  const dataset = await loadDataset(written.datasetFile);
  const dataRoot = dataRootOf(written.experimentFile)!;
  t.is(dataRoot, written.dataRoot);
  const { problems } = await verifyDataset({ dataset, dataRoot, fast: false, signal: new AbortController().signal });
  t.deepEqual(problems, []);
  const experiment = resolve({ file: written.experimentFile });
  t.is(experiment.data.dataset, written.datasetFile);
  t.is(experiment.model.classes, dataset.classes.length);
  return { folder, written, dataset, experiment };
}

test('masks of 0 and 255 are two classes, and a fifth of the images validates', async (t) => {
  const { written, dataset, experiment } = await described(t, await pairs(NAMES, () => labels([0, 255])));
  t.deepEqual(dataset.classes, ['background', 'foreground']);
  t.deepEqual(dataset.labels, { 255: 1 });
  t.deepEqual(written.images, { train: 4, val: 1 });
  t.deepEqual(written.sizes, [{ size: { height: HEIGHT, width: WIDTH }, images: 5 }]);
  t.is(written.splitReading, '1 of 5 drawn at random for validation');
  t.deepEqual(written.warnings, []);
  t.deepEqual(experiment.data.imageScaleWh, [WIDTH, HEIGHT]);
  t.is(experiment.row, 'mine_r18-d8');
});

test('class ids keep their numbers, and 255 is not counted', async (t) => {
  const { written, dataset } = await described(
    t,
    await pairs(NAMES, (i) => labels([0, 1, 3, ...(i === 2 ? [255] : [])])),
  );
  t.deepEqual(dataset.classes, ['class 0', 'class 1', 'class 2', 'class 3']);
  t.is(dataset.ignoreIndex, 255);
  t.is(dataset.labels, undefined);
  t.is(written.labelReading, 'values 0, 1 and 3; 255 is not counted');
  t.deepEqual(written.warnings, [
    'No label map holds the value 2.',
    "The classes have no names yet: give them with --classes, or write them into the data set's file.",
  ]);
  const colours = dataset.palette.map(String);
  t.is(new Set(colours).size, 4);
  t.false(colours.includes('0,0,0'), 'pages show pixels that are not counted in black');
});

test('ids from 1 on leave 0 out, and grey levels are numbered', async (t) => {
  const fromOne = await described(t, await pairs(NAMES, () => labels([1, 2, 3])));
  t.true(fromOne.dataset.reduceZeroLabel);
  t.deepEqual(fromOne.dataset.classes, ['class 1', 'class 2', 'class 3']);
  const grey = await described(t, await pairs(NAMES, () => labels([0, 100, 200, 255])));
  t.deepEqual(grey.dataset.labels, { 100: 1, 200: 2 });
  const all = await described(t, await pairs(NAMES, () => labels([0, 85, 170, 255])), {
    classes: ['a', 'b', 'c', 'd'],
  });
  t.deepEqual(all.dataset.labels, { 85: 1, 170: 2, 255: 3 });
  t.deepEqual(all.dataset.classes, ['a', 'b', 'c', 'd']);
});

test('the colours of palettes and of label maps become those of the classes', async (t) => {
  const palette: Palette = [
    [0, 0, 0],
    [10, 20, 30],
    [200, 100, 0],
  ];
  const indexed = await described(t, await pairs(NAMES, () => labels([0, 1, 2], palette)));
  t.deepEqual(indexed.dataset.palette, palette);
  const coloured = await described(
    t,
    await pairs(NAMES, () =>
      colours([
        [0, 0, 0],
        [255, 0, 0],
        [0, 0, 255],
      ]),
    ),
  );
  t.deepEqual(coloured.dataset.palette, [
    [0, 0, 0],
    [0, 0, 255],
    [255, 0, 0],
  ]);
  t.deepEqual(coloured.dataset.classes, ['colour #000000', 'colour #0000ff', 'colour #ff0000']);
});

test('names may end differently, lie in one folder, and have several extensions', async (t) => {
  const { dataset } = await described(
    t,
    await pairs(['s1_img', 's2_img'], () => labels([0, 1]), '.png').then((files) =>
      Object.fromEntries(
        Object.entries(files).map(([name, content]) => [name.replace(/masks\/(s\d)_img/, 'masks/$1_label'), content]),
      ),
    ),
  );
  t.like(dataset.splits['train']![0], { imageSuffix: '_img.png', labelSuffix: '_label.png' });
  const files: Files = {};
  for (const name of NAMES) {
    files[`images/${name}.${name === 'a' ? 'bmp' : 'png'}`] = await image();
    files[`images/${name}_mask.png`] = await labels([0, 1]);
  }
  const folder = await temporaryFolder(t);
  await writeFiles(folder, files);
  const together = await init(folder, { labels: path.join(folder, 'images'), fraction: 0.5 });
  t.deepEqual(together.warnings, []);
  t.is(
    Object.values(together.images).reduce((sum, count) => sum + count),
    NAMES.length,
  );
  const described2 = await loadDataset(together.datasetFile);
  t.deepEqual(
    [
      ...new Set(
        Object.values(described2.splits)
          .flat()
          .map((source) => source.imageSuffix),
      ),
    ].sort(),
    ['.bmp', '.png'],
  );
});

test('folders train and val are taken as they are, unless a share is given', async (t) => {
  const names = ['train/a', 'train/b', 'train/c', 'val/d'];
  const { written, dataset } = await described(t, await pairs(names, () => labels([0, 1])));
  t.deepEqual(written.images, { train: 3, val: 1 });
  t.deepEqual(dataset.splits['val'], [
    { images: 'images/val', labels: 'masks/val', imageSuffix: '.png', labelSuffix: '.png', list: null },
  ]);
  const shared = await described(t, await pairs(names, () => labels([0, 1])), { fraction: 0.5 });
  t.deepEqual(shared.written.images, { train: 2, val: 2 });
});

test('lists decide the splits, whether they name files or only names', async (t) => {
  const folder = await temporaryFolder(t);
  const files = await pairs(['x/a', 'x/b', 'c'], () => labels([0, 1]));
  await writeFiles(folder, { ...files, 'train.txt': 'x/a\nc.png\n', 'val.txt': 'b\n' });
  const lists = [path.join(folder, 'train.txt'), path.join(folder, 'val.txt')];
  const { images, datasetFile } = await init(folder, { lists });
  t.deepEqual(images, { train: 2, val: 1 });
  t.is(readFileSync(path.join(path.dirname(datasetFile), 'lists/train.txt'), 'utf8'), 'c\nx/a\n');
  const renamed = path.join(folder, 'renamed');
  renameSync(path.dirname(datasetFile), renamed);
  const moved = path.join(renamed, path.basename(datasetFile));
  const dataset = await loadDataset(moved);
  const dataRoot = dataRootOf(path.join(renamed, 'experiment.yaml'))!;
  const { problems } = await verifyDataset({ dataset, dataRoot, fast: false, signal: new AbortController().signal });
  t.deepEqual(problems, [], 'the lists are beside the file');
  renameSync(renamed, path.dirname(datasetFile));

  await writeFiles(folder, { 'train.txt': 'a\nnone\n', 'val.txt': 'a\n', 'other.txt': 'c\n' });
  const error = await t.throwsAsync(init(folder, { force: true, lists: [...lists, path.join(folder, 'other.txt')] }), {
    instanceOf: UserError,
  });
  t.regex(error.message, /3 things are wrong/);
  t.regex(error.message, /train\.txt:2: no image with a label is called none\./);
  t.regex(error.message, /val\.txt:1: a is already in the split train\./);
  t.regex(error.message, /other\.txt: a list is called train\.txt, val\.txt or test\.txt/);
});

test('images and labels without a partner are named and left out; sizes that differ are a warning', async (t) => {
  const files = await pairs(NAMES, () => labels([0, 1]));
  const { written, dataset } = await described(t, {
    ...files,
    'images/lonely.png': await image(),
    'masks/nobody.png': await labels([0, 1]),
    'images/f.png': await image(24),
    'masks/f.png': await labels([0, 1], undefined, 24),
  });
  t.is(written.warnings[0], '1 image has no label and is left out: lonely.png.');
  t.is(written.warnings[1], '1 label belongs to no image: nobody.png.');
  t.regex(written.warnings[2]!, /^Images have 2 sizes \(5 of 12×8, 1 of 24×8\)/);
  t.true(
    Object.values(dataset.splits)
      .flat()
      .every(({ list }) => list !== null),
  );
});

test('all mistakes are named at once, and nothing is written', async (t) => {
  const folder = await temporaryFolder(t);
  const typed = { name: 'a b', fraction: Number.NaN, typedFraction: '50%', classes: ['a', ''] };
  const nowhere = await t.throwsAsync(init(folder, { ...typed, directory: '' }), { instanceOf: UserError });
  for (const part of [
    /6 things/,
    /The name of the folder to write to is empty/,
    /--images .*no such folder/,
    /--labels .*no such folder/,
    /--name a b/,
    /--val-fraction 50%: expected a number between 0 and 1/,
    /--classes: a name is empty/,
  ]) {
    t.regex(nowhere.message, part);
  }
  await writeFiles(folder, {
    ...(await pairs(NAMES, () => labels([0, 1]))),
    'masks/b.png': await labels([0, 1], undefined, 5),
    'masks/c.png': 'no PNG',
    'images/c.png': 'no image',
    // Its header is whole: only its pixels show that the end is missing.
    'images/d.png': (await image()).subarray(0, -20),
  });
  const broken = await t.throwsAsync(init(folder), { instanceOf: UserError });
  t.regex(broken.message, /4 things are wrong/);
  for (const part of [/images\/c\.png: the image cannot/, /images\/d\.png: the image cannot/, /masks\/c\.png/]) {
    t.regex(broken.message, part);
  }
  t.regex(broken.message, /b\.png is 5×8 pixels, but its image 12×8\./);
  t.false(existsSync(path.join(folder, 'mine')));
});

const REFUSED: readonly [string, () => Promise<Files>, Options, RegExp][] = [
  [
    'labels that belong to no image',
    async () => ({ 'images/a.png': await image(), 'masks/z.png': await labels([0]) }),
    {},
    /Only 0 of 1 images have a label of the same name: there are a\.png among the images, z\.png among the labels/,
  ],
  ['labels of one value', () => pairs(NAMES, () => labels([7])), {}, /hold only 7: at least two classes/],
  [
    'too few names of classes',
    () => pairs(NAMES, () => labels([0, 1, 2])),
    { classes: ['a', 'b'] },
    /--classes names 2 classes, but the label maps hold 3 values: 0, 1 and 2/,
  ],
  ['a class twice', () => pairs(NAMES, () => labels([0, 1])), { classes: ['a', 'a'] }, /--classes names a twice/],
  [
    'values and colours',
    () =>
      pairs(NAMES, (i) =>
        i === 0
          ? labels([0, 1])
          : colours([
              [0, 0, 0],
              [9, 9, 9],
            ]),
      ),
    {},
    /1 label map holds values, but 4 hold colours/,
  ],
  [
    'photographs for labels',
    () => pairs(NAMES, (i) => colours(Array.from({ length: 96 }, (_, k) => [k, i * 50, 7] as const))),
    {},
    /more than 255 colours/,
  ],
  ['one image', () => pairs(['a'], () => labels([0, 1])), {}, /Only one image has a label/],
  [
    'two images of one label',
    async () => ({ ...(await pairs(NAMES, () => labels([0, 1]))), 'images/b.bmp': await image() }),
    {},
    /The images b\.bmp and b\.png have one label, b\.png/,
  ],
  [
    'two labels of one image',
    async () => ({ ...(await pairs(NAMES, () => labels([0, 1]))), 'masks/b.PNG': await labels([0, 1]) }),
    {},
    /The image b\.png has several labels, b\.PNG and b\.png/,
  ],
  [
    'names that a list cannot hold',
    () => pairs([...NAMES, 'end ', ' start', 'two\nlines', 'back\\slash', 'c:d'], () => labels([0, 1])),
    {},
    /^5 images cannot be named in a list: " start\.png", "back\\\\slash\.png", "c:d\.png", "end \.png" and "two\\nlines\.png"\./,
  ],
  ['a name of another file', () => pairs(NAMES, () => labels([0, 1])), { name: 'experiment' }, /experiment\.yaml/],
];

test('one folder without endings by which images and labels differ: refused', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, { 'images/a.png': await image(), 'images/b.png': await image() });
  await t.throwsAsync(init(folder, { labels: path.join(folder, 'images') }), {
    instanceOf: UserError,
    message:
      /^--images and --labels are one folder, .*images, in which no image has a label beside it, as .*: there are a\.png, b\.png\.$/,
  });
});

test('folders train and val need no list, so that any name will do', async (t) => {
  const { written } = await described(t, await pairs(['train/a ', 'train/ b', 'val/c:d'], () => labels([0, 1])));
  t.deepEqual(written.images, { train: 2, val: 1 });
});

for (const [name, files, options, message] of REFUSED) {
  test(`${name}: refused`, async (t) => {
    const folder = await temporaryFolder(t);
    await writeFiles(folder, await files());
    await t.throwsAsync(init(folder, options), { instanceOf: UserError, message });
    t.false(existsSync(path.join(folder, 'mine')));
  });
}

test('a file in the way of the folder, and a name that is too long, are named before images are read', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, { ...(await pairs(NAMES, () => labels([0, 1]))), taken: '' });
  for (const directory of ['taken', 'taken/below']) {
    const message = `${path.join(folder, directory)}: a part of this path is a file, a folder was expected.`;
    await t.throwsAsync(init(folder, { directory: path.join(folder, directory) }), { instanceOf: UserError, message });
  }
  const long = { instanceOf: UserError, message: /^--name n+: a data set's name has .*at most 120 of them/ };
  await t.throwsAsync(init(folder, { name: 'n'.repeat(121) }), long);
  const { row } = await init(folder, { name: 'n'.repeat(120) });
  t.is(row.length, 127);
});

test('a few images get a batch that fits them, in the smoke profile, too', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, await pairs(['a', 'b', 'c'], () => labels([0, 1])));
  const { row, images, experimentFile: file } = await init(folder);
  for (const profile of ['full', 'smoke']) t.is(resolve({ row, file, profile }).training.batch, images['train']!);
});

test('files that are there are named, and replaced only by force', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, { ...(await pairs(NAMES, () => labels([0, 1]))), 'mine/experiment.yaml': 'precious' });
  await t.throwsAsync(init(folder), { instanceOf: UserError, message: /experiment\.yaml is there already\.$/ });
  t.false(existsSync(path.join(folder, 'mine/mine.yaml')));
  const { experimentFile } = await init(folder, { force: true });
  t.regex(readFileSync(experimentFile, 'utf8'), /^dataRoot: \.\.\/\.\./m);
});
