import test from 'ava';
import type { LabelMap } from '../../src/data/image.js';
import { chooseCrop, cropBox } from '../../src/data/transforms/crop.js';
import { flipHorizontally } from '../../src/data/transforms/flip.js';
import { hsvToRgb, rgbToHsv } from '../../src/data/transforms/hsv.js';
import { normalise, normaliseInto } from '../../src/data/transforms/normalise.js';
import { distort, type PhotometricStep } from '../../src/data/transforms/photometric.js';
import { resizeBilinear, resizeNearest } from '../../src/data/transforms/resize.js';
import { keepRatioSize, scaleByRatio } from '../../src/data/transforms/size.js';
import { difference, pipelineReference } from '../helpers/pipeline.js';

type Pair = [number, number];

test('keep-ratio sizes are those of the original', (t) => {
  const reference = pipelineReference(t, '.');
  if (!reference) return;
  const cases =
    reference.json<{ wh: Pair; img_scale_wh: Pair; ratio: number; scale_wh: Pair; out_wh: Pair }[]>(
      'rescale_sizes.json',
    );
  t.true(cases.length > 100);
  for (const { wh, img_scale_wh, ratio, scale_wh, out_wh } of cases) {
    const scale = scaleByRatio(img_scale_wh, ratio);
    t.deepEqual(scale, scale_wh);
    t.deepEqual(keepRatioSize({ height: wh[1], width: wh[0] }, scale), { height: out_wh[1], width: out_wh[0] });
  }
});

test('resize is that of the original bit for bit, for images and labels', async (t) => {
  const reference = pipelineReference(t, 'resize');
  if (!reference) return;
  const cases =
    reference.json<{ src: string; img_scale_wh: Pair; ratio: number; out_hw: Pair; img: string; seg: string }[]>(
      'cases.json',
    );
  t.true(cases.length > 40);
  for (const { src, img_scale_wh, ratio, out_hw, img, seg } of cases) {
    const image = await reference.source(src);
    const size = keepRatioSize(image, scaleByRatio(img_scale_wh, ratio));
    t.deepEqual([size.height, size.width], out_hw);
    t.is(difference(resizeBilinear(image, size).data, reference.image(img).data).largest, 0, img);
    const labels = resizeNearest(await reference.sourceLabels(src), size);
    t.is(difference(labels.data, reference.labels(seg).data).largest, 0, seg);
  }
});

test('a window of a resized image equals the same pixels of the whole one', async (t) => {
  const reference = pipelineReference(t, 'resize');
  if (!reference) return;
  const image = await reference.source('b');
  const labels = await reference.sourceLabels('b');
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

test('crops are those of the original, and an image smaller than the crop stays smaller', async (t) => {
  const reference = pipelineReference(t, 'crop');
  if (!reference) return;
  const cases =
    reference.json<{ src: string; crop_hw: Pair; offset_yx: Pair; out_hw: Pair; img: string; seg: string }[]>(
      'cases.json',
    );
  for (const { src, crop_hw, offset_yx, out_hw, img, seg } of cases) {
    const image = await reference.source(src);
    const labels = await reference.sourceLabels(src);
    const chosen = chooseCrop(
      labels,
      labels,
      { cropHw: crop_hw, maximumRatio: 1, ignoreIndex: 255 },
      (draw, margin) => {
        const offset = offset_yx[draw]!;
        t.true(offset <= margin);
        return offset;
      },
    );
    t.deepEqual(chosen.box, cropBox(image, crop_hw, ...offset_yx));
    t.deepEqual([chosen.box.height, chosen.box.width], out_hw);
    t.is(difference(chosen.labels.data, reference.labels(seg).data).largest, 0, seg);
    t.is(difference(resizeBilinear(image, image, chosen.box).data, reference.image(img).data).largest, 0, img);
  }
});

test('the category rule tries and takes the boxes that the original tries and takes', async (t) => {
  const reference = pipelineReference(t, 'crop');
  if (!reference) return;
  const cases =
    reference.json<
      {
        src: string;
        crop_hw: Pair;
        cat_max_ratio: number;
        tried_offsets_yx: Pair[];
        used_offset_yx: Pair;
        seg_in: string;
        img: string;
        seg: string;
      }[]
    >('cat_cases.json');
  for (const { src, crop_hw, cat_max_ratio, tried_offsets_yx, used_offset_yx, seg_in, img, seg } of cases) {
    const labels = reference.labels(seg_in);
    const offsets = tried_offsets_yx.flat();
    let draws = 0;
    const chosen = chooseCrop(
      labels,
      labels,
      { cropHw: crop_hw, maximumRatio: cat_max_ratio, ignoreIndex: 255 },
      (draw) => {
        t.is(draw, draws++);
        return offsets[draw]!;
      },
    );
    t.is(draws, offsets.length, seg_in);
    t.deepEqual([chosen.box.top, chosen.box.left], used_offset_yx);
    t.is(difference(chosen.labels.data, reference.labels(seg).data).largest, 0, seg);
    const image = await reference.source(src);
    t.is(difference(resizeBilinear(image, image, chosen.box).data, reference.image(img).data).largest, 0, img);
  }
});

test('the eleventh box is taken unchecked, and a maximum of 1 takes the first', (t) => {
  const uniform: LabelMap = { height: 20, width: 20, data: new Uint8Array(400).fill(3) };
  const count = (maximumRatio: number): number => {
    let draws = 0;
    chooseCrop(uniform, uniform, { cropHw: [4, 4], maximumRatio, ignoreIndex: 255 }, () => draws++ % 2);
    return draws;
  };
  t.is(count(0.75), 22);
  t.is(count(1), 2);
});

test('a horizontal flip is that of the original', async (t) => {
  const reference = pipelineReference(t, 'flip');
  if (!reference) return;
  const cases = reference.json<{ src: string; direction: string; img: string; seg: string }[]>('cases.json');
  const horizontal = cases.filter(({ direction }) => direction === 'horizontal');
  t.true(horizontal.length > 0);
  for (const { src, img, seg } of horizontal) {
    const image = await reference.source(src);
    flipHorizontally(image.data, image.width, 3);
    t.is(difference(image.data, reference.image(img).data).largest, 0);
    const labels = await reference.sourceLabels(src);
    flipHorizontally(labels.data, labels.width, 1);
    t.is(difference(labels.data, reference.labels(seg).data).largest, 0);
  }
});

test('HSV conversion is that of OpenCV bit for bit, truncated and rounded', (t) => {
  const reference = pipelineReference(t, 'hsv');
  if (!reference) return;
  const forward = reference.image('rgb.npy');
  rgbToHsv(forward.data);
  t.is(difference(forward.data, reference.image('rgb_to_hsv.npy').data).largest, 0);
  const rounded = reference.image('hsv.npy');
  hsvToRgb(rounded.data, rounded.width, 0);
  t.is(difference(rounded.data, reference.image('hsv_to_rgb_scalar.npy').data).largest, 0);
  const truncated = reference.image('hsv.npy');
  hsvToRgb(truncated.data, truncated.width, truncated.width);
  t.is(difference(truncated.data, reference.image('hsv_to_rgb_vector.npy').data).largest, 0);
});

interface PhotometricCase {
  src: string;
  mode: number;
  steps: { op: PhotometricStep['operation']; value: number; img: string }[];
  out: string;
}

test('photometric distortion is that of the original bit for bit, step by step', async (t) => {
  const reference = pipelineReference(t, 'photo');
  if (!reference) return;
  const cases = reference.json<PhotometricCase[]>('cases.json');
  t.true(cases.length >= 20);
  for (const { src, steps, out } of cases) {
    const image = await reference.source(src);
    for (const { op, value, img } of steps) {
      distort(image, [{ operation: op, value }]);
      t.is(difference(image.data, reference.image(img).data).largest, 0, img);
    }
    const atOnce = await reference.source(src);
    distort(
      atOnce,
      steps.map(({ op, value }) => ({ operation: op, value })),
    );
    t.is(difference(atOnce.data, reference.image(out).data).largest, 0, out);
  }
});

test('normalising is that of the original', async (t) => {
  const reference = pipelineReference(t, 'normalize');
  if (!reference) return;
  const { cases } = reference.json<{ cases: { src: string | null; img: string }[] }>('cases.json');
  for (const { src, img } of cases) {
    const ramp = { height: 256, width: 1, data: Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)) };
    const image = src === null ? ramp : await reference.source(src);
    t.true(difference(normalise(image), reference.floats(img).data).largest <= 1e-6, img);
  }
});

test('padding is at the bottom and the right, 0 after normalising', async (t) => {
  const reference = pipelineReference(t, 'pad');
  if (!reference) return;
  const cases = reference.json<{ src: string; size_hw: Pair; img: string }[]>('cases.json');
  for (const { src, size_hw, img } of cases) {
    const [height, width] = size_hw;
    const padded = new Float32Array(height * width * 3);
    normaliseInto(await reference.source(src), padded, 0, width);
    t.true(difference(padded, reference.floats(img).data).largest <= 1e-6, img);
  }
});
