import test from 'ava';
import { loadSample } from '../../src/data/samples.js';
import { readSplit } from '../../src/data/split.js';
import type { Frequencies } from '../../src/datasets/frequencies.js';
import { classFrequencies, formatFrequencies } from '../../src/datasets/frequencies.js';
import { generated } from '../helpers/datasets.js';

for (const id of ['voc2012-aug', 'pascal-context-59']) {
  test(`${id}: the counts are those of the labels in training`, async (t) => {
    const set = await generated(t, id, 8, 96);
    const frequencies = await classFrequencies({ ...set, split: 'train', workers: 2 });
    const pixels = new Array<number>(256).fill(0);
    const images = new Array<number>(256).fill(0);
    const areas: number[] = [];
    for (const entry of await readSplit(set.dataset, 'train', set.dataRoot)) {
      const { data } = (await loadSample(entry, set.dataset)).labels;
      areas.push(data.length);
      for (const value of data) pixels[value]!++;
      for (const value of new Set(data)) images[value]!++;
    }
    const labelled = pixels.slice(0, 255).reduce((a, b) => a + b);
    t.is(frequencies.images, 6);
    t.is(frequencies.ignored, pixels[255]!);
    t.is(frequencies.pixels, labelled + pixels[255]!);
    t.is(frequencies.smallest.height * frequencies.smallest.width, Math.min(...areas));
    t.is(frequencies.largest.height * frequencies.largest.width, Math.max(...areas));
    t.deepEqual(
      frequencies.classes.map(({ id, name, pixels, images }) => ({ id, name, pixels, images })),
      set.dataset.classes.map((name, id) => ({ id, name, pixels: pixels[id], images: images[id] })),
    );
    t.true(frequencies.classes.every(({ pixels, share }) => share === pixels / labelled));
    // So few are counted without a thread.
    t.deepEqual(await classFrequencies({ ...set, split: 'train' }), frequencies);
  });
}

const MINE: Frequencies = {
  dataset: 'mine',
  name: 'Mine',
  split: 'val',
  folder: '/data/mine',
  synthetic: true,
  images: 120,
  smallest: { height: 10, width: 20 },
  largest: { height: 30, width: 20 },
  pixels: 48000,
  ignored: 12000,
  classes: [
    { id: 0, name: 'sky', colour: [1, 2, 3], pixels: 9000, share: 0.25, images: 100 },
    { id: 1, name: 'ground', colour: [4, 5, 6], pixels: 26999, share: 0.74997, images: 120 },
    { id: 2, name: 'a class of a name that is far too long', colour: [7, 8, 9], pixels: 1, share: 0.00003, images: 1 },
    { id: 3, name: 'absent', colour: [0, 0, 0], pixels: 0, share: 0, images: 0 },
  ],
};

test('a chart has a bar for each class, the longest fills the width, and it fits 80 columns', (t) => {
  const lines = formatFrequencies(MINE, { sort: 'frequency', columns: 80, colour: false }).split('\n');
  t.deepEqual(lines.slice(0, 4), [
    'Mine (synthetic), val: 120 images of 10x20 to 30x20 (HxW)',
    '48.0 k pixels, 25.00 % of them ignored; 1 of the 4 classes does not occur',
    '',
    'class                      share  images',
  ]);
  t.is(Math.max(...lines.map((line) => line.length)), 80);
  const [ground, sky, long, absent] = lines.slice(4);
  t.is(ground, `ground                   75.00 %     120  ${'█'.repeat(38)}`);
  t.is(sky, `sky                      25.00 %     100  ${'█'.repeat(12)}▋`);
  // A class that occurs has a bar, however rare it is.
  t.is(long, 'a class of a name tha…   <0.01 %       1  ▏');
  t.is(absent, 'absent                    0.00 %       0');
});

test('a chart is sorted by id on request, fits a narrow terminal, and is coloured if the terminal has colours', (t) => {
  const byId = formatFrequencies(MINE, { sort: 'id', columns: 60, colour: true }).split('\n').slice(4);
  t.deepEqual(
    byId.map((line) => line.slice(0, 3)),
    ['sky', 'gro', 'a c', 'abs'],
  );
  t.true(byId[1]!.includes(`\u001b[38;2;4;5;6m${'█'.repeat(18)}\u001b[39m`));
  t.false(byId[3]!.includes('\u001b'));
});

test('a split of ignored pixels only has no shares', (t) => {
  const classes = MINE.classes.map((one) => ({ ...one, pixels: 0, share: 0, images: 0 }));
  const text = formatFrequencies({ ...MINE, classes, ignored: 48000 }, { sort: 'id', columns: 80, colour: false });
  t.regex(text, /100\.00 % of them ignored; none of the 4 classes occurs/);
  t.notRegex(text, /NaN|▏|█/);
});
