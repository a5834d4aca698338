import test from 'ava';
import sharp from 'sharp';
import { ConfusionMatrix } from '../../src/evaluation/confusion.js';
import { formatPixelShare, presentClasses } from '../../src/prediction/classes.js';
import { comparisonLegend, drawSheet, errorMap, layOut, overlay } from '../../src/prediction/output.js';

const PALETTE = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
] as const;

test('a legend has the classes that occur, most frequent first, with their shares', (t) => {
  const labels = Uint8Array.of(2, 2, 2, 0, 255, 2, 2, 2);
  t.deepEqual(presentClasses(labels, ['sky', 'road', 'car']), [
    { id: 2, name: 'car', share: 6 / 8 },
    { id: 0, name: 'sky', share: 1 / 8 },
  ]);
  t.is(formatPixelShare(0.1234), '12.3 %');
  t.is(formatPixelShare(0.0001), '< 0.1 %');
});

test('an overlay mixes image and colours by the opacity, and leaves what has no class', (t) => {
  const image = { height: 1, width: 3, data: Uint8Array.of(100, 100, 100, 10, 20, 30, 7, 8, 9) };
  const { data } = overlay(image, Uint8Array.of(0, 1, 255), PALETTE, 0.25);
  t.deepEqual([...data], [139, 75, 75, 8, 79, 23, 7, 8, 9]);
  t.is(image.data[0], 100, 'the image stays as it is');
});

test('the legend of a comparison has the figures of the image, then of each class in it', (t) => {
  const confusion = ConfusionMatrix.fromRows(
    [
      [3, 1, 0],
      [0, 4, 0],
      [0, 0, 0],
    ],
    null,
  );
  const [red, green, blue] = [[255, 0, 0] as const, [0, 255, 0] as const, [0, 0, 255] as const];
  const legend = comparisonLegend(confusion, { classes: ['sky', 'car', 'none'], palette: [red, green, blue] });
  t.deepEqual(legend, [
    { colour: null, text: 'mIoU of this image: 77.50 %' },
    { colour: null, text: 'pixels right: 87.50 %' },
    { colour: red, text: 'sky: IoU 75.00 %' },
    { colour: green, text: 'car: IoU 80.00 %' },
  ]);
  // Of an image without labels there are no figures.
  t.deepEqual(comparisonLegend(ConfusionMatrix.fromRows([[0]], null), { classes: ['sky'], palette: [red] }), []);
});

test('errors are red, unlabelled pixels black, the rest grey', (t) => {
  const image = { height: 1, width: 3, data: new Uint8Array(9).fill(100) };
  const { data } = errorMap(image, Uint8Array.of(0, 1, 2), Uint8Array.of(0, 2, 255));
  t.deepEqual([...data], [178, 178, 178, 230, 30, 30, 0, 0, 0]);
});

test('panels keep their size, and no legend entry lies over a panel, another entry or the edge', (t) => {
  const entries = Array.from({ length: 23 }, (_, i) => ({ colour: PALETTE[i % 3]!, text: `class number ${i} 10.0 %` }));
  for (const [width, height] of [
    [8, 4],
    [640, 480],
    [2048, 1024],
  ] as const) {
    for (const titles of [[null], ['image', 'truth', 'prediction', 'errors']]) {
      const columns = titles.length > 1 ? 2 : 1;
      const sheet = layOut({ height, width }, titles, columns, entries);
      const bottom = Math.max(...sheet.panels.map(({ top }) => top)) + height;
      for (const { left } of sheet.panels) t.true(left + width <= sheet.width);
      for (const { left, top } of sheet.entries) {
        t.true(top >= bottom && top + sheet.fontSize <= sheet.height);
        t.true(left + sheet.fontSize <= sheet.width);
      }
      t.is(new Set(sheet.entries.map(({ left, top }) => `${left} ${top}`)).size, entries.length);
    }
  }
});

test('a sheet holds the panel as it is and the swatches of its legend', async (t) => {
  const data = Uint8Array.from({ length: 400 * 10 * 3 }, (_, i) => (i * 7) % 256);
  const image = { height: 10, width: 400, data };
  const entries = [{ colour: PALETTE[1], text: 'a < b & c' }];
  const png = await drawSheet([{ title: null, image }], 1, entries);
  const { data: pixels, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const sheet = layOut(image, [null], 1, entries);
  t.deepEqual([info.width, info.height, info.channels], [sheet.width, sheet.height, 3]);
  t.true(pixels.subarray(0, data.length).equals(data));
  const { left, top } = sheet.entries[0]!;
  const middle = 3 * ((top + Math.floor(sheet.fontSize / 2)) * info.width + left + Math.floor(sheet.fontSize / 2));
  t.deepEqual([...pixels.subarray(middle, middle + 3)], [0, 255, 0]);
});
