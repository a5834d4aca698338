import test from 'ava';
import type { LabelMap, RgbImage } from '../../src/data/image.js';
import { chooseCrop } from '../../src/data/transforms/crop.js';
import { resizeBilinear, resizeNearest } from '../../src/data/transforms/resize.js';
import { type TransformName, transformChecks } from '../../src/parity/verify.js';
import { integers } from '../helpers/numeric.js';
import { assertFindings, FULL_SET, PACKAGE_SET, partOf } from '../helpers/reference-set.js';

const PROMISES: Partial<Record<TransformName, string>> = {
  sizes: 'keep-ratio sizes are those of the original',
  resize: 'resize is that of the original bit for bit, for images and labels',
  crop: 'crops are those of the original, and an image smaller than the crop stays smaller',
  'category rule': 'the category rule tries and takes the boxes that the original tries and takes',
  flip: 'a horizontal flip is that of the original',
  HSV: 'HSV conversion is that of OpenCV bit for bit, truncated and rounded',
  photometric: 'photometric distortion is that of the original, step by step and in chains',
  normalise: 'normalising is that of the original',
  pad: 'padding is at the bottom and the right, 0 after normalising, 255 in labels',
};

for (const set of [PACKAGE_SET, FULL_SET]) {
  for (const [name, promise] of Object.entries(PROMISES)) {
    set.test(`${promise} (${set.title})`, async (t) =>
      assertFindings(t, await transformChecks(partOf(set, 'pipeline'), [name as TransformName])),
    );
  }

  // The tolerance for HSV is for other builds of OpenCV: the reference's own columns are known.
  set.test(`photometric distortion differs in no value (${set.title})`, async (t) => {
    const { checks } = await transformChecks(partOf(set, 'pipeline'), ['photometric']);
    for (const { quantity, difference } of checks) t.is(difference, 0, quantity);
  });
}

function bytes(seed: number, count: number): Uint8Array {
  return Uint8Array.from(integers(seed, count, 0, 255));
}

test('a window of a resized image equals the same pixels of the whole one', (t) => {
  const image: RgbImage = { height: 65, width: 97, data: bytes(1, 65 * 97 * 3) };
  const labels: LabelMap = { height: 65, width: 97, data: bytes(2, 65 * 97) };
  const windowed = { top: 3, left: 7, height: 11, width: 13 };
  // The second halves an image exactly, which is computed in another way.
  const even = resizeBilinear(image, { height: 64, width: 96 });
  for (const [source, size] of [
    [image, { height: 81, width: 121 }],
    [image, { height: 33, width: 48 }],
    [even, { height: 32, width: 48 }],
  ] as const) {
    const whole = resizeBilinear(source, size);
    const part = resizeBilinear(source, size, windowed);
    const wholeLabels = resizeNearest(labels, size);
    const partLabels = resizeNearest(labels, size, windowed);
    for (let y = 0; y < windowed.height; y++) {
      const at = (windowed.top + y) * size.width + windowed.left;
      const row = y * windowed.width;
      t.deepEqual(
        part.data.subarray(row * 3, (row + windowed.width) * 3),
        whole.data.subarray(at * 3, (at + windowed.width) * 3),
      );
      t.deepEqual(
        partLabels.data.subarray(row, row + windowed.width),
        wholeLabels.data.subarray(at, at + windowed.width),
      );
    }
  }
});

test('the eleventh box is taken unchecked, and a maximum of 1 takes the first', (t) => {
  const uniform: LabelMap = { height: 20, width: 20, data: new Uint8Array(400).fill(3) };
  const count = (maximumRatio: number): number => {
    let draws = 0;
    chooseCrop(uniform, uniform, { cropHw: [4, 4], maximumRatio }, () => draws++ % 2);
    return draws;
  };
  t.is(count(0.75), 22);
  t.is(count(1), 2);
});
