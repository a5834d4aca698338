import test from 'ava';
import type { LabelMap, RgbImage } from '../../../src/data/image.js';
import { prepareRows } from '../../../src/data/simd/distorted.js';
import { openWorkspace } from '../../../src/data/simd/open-workspace.js';
import { placeImage, resizeRows, sourceBox } from '../../../src/data/simd/resized.js';
import { augment, augmentInto, drawAugmentation } from '../../../src/data/training-samples.js';
import { flipHorizontally } from '../../../src/data/transforms/crop.js';
import { normaliseInto } from '../../../src/data/transforms/normalise.js';
import { distort, type PhotometricStep } from '../../../src/data/transforms/photometric.js';
import { resizeBilinear } from '../../../src/data/transforms/resize.js';
import { makeView, makeViews } from '../../../src/data/views.js';
import type { DataRecipe } from '../../../src/recipe/experiment.js';
import { integers, sameBytes } from '../../helpers/numeric.js';

const workspace = openWorkspace();
/** Elsewhere there is only the JavaScript with which it is compared here. */
const withPixelCode = workspace === null ? test.skip : test;

/** Drawing random numbers takes longer than everything that is tested. */
const NOISE = Uint8Array.from(integers(1, 2 ** 14, 0, 255));

function picture(seed: number, height: number, width: number): RgbImage {
  const data = Uint8Array.from(
    { length: height * width * 3 },
    (_, i) => NOISE[(i + seed * 997) % NOISE.length]! + (i >> 14),
  );
  return { height, width, data };
}

/** Blocks of a few classes, some of them ignored. */
function labelMap(seed: number, height: number, width: number): LabelMap {
  const classes = integers(seed, 64, 0, 5).map((id) => (id === 5 ? 255 : id));
  const data = Uint8Array.from({ length: height * width }, (_, i) => {
    const [y, x] = [Math.floor(i / width), i % width];
    return classes[((y >> 3) * 5 + (x >> 4)) % 64]!;
  });
  return { height, width, data };
}

withPixelCode(
  'windows of resized images are those of the JavaScript, mirrored or not, from the pixels that they need',
  (t) => {
    const cases = [
      [
        { height: 65, width: 97 },
        { height: 81, width: 121 },
      ],
      [
        { height: 65, width: 97 },
        { height: 33, width: 49 },
      ],
      [
        { height: 64, width: 96 },
        { height: 32, width: 48 },
      ],
      [
        { height: 20, width: 30 },
        { height: 20, width: 30 },
      ],
      [
        { height: 7, width: 5 },
        { height: 29, width: 31 },
      ],
      [
        { height: 40, width: 33 },
        { height: 3, width: 2 },
      ],
      [
        { height: 1, width: 1 },
        { height: 4, width: 3 },
      ],
      [
        { height: 2, width: 2 },
        { height: 1, width: 1 },
      ],
    ] as const;
    for (const [number, [source, size]] of cases.entries()) {
      const image = picture(number + 1, source.height, source.width);
      for (const isMirrored of [false, true]) {
        for (const inner of [false, true]) {
          const [top, left] = inner ? [size.height >> 2, size.width >> 2] : [0, 0];
          const window = { top, left, height: size.height - 2 * top, width: size.width - 2 * left };
          const expected = resizeBilinear(image, size, window);
          if (isMirrored) flipHorizontally(expected.data, window.width, 3);
          // Only the part that `sourceBox` names is there, as a decoder leaves it.
          const box = sourceBox(source, size, window);
          const part = resizeBilinear(image, source, box);
          const opened = openWorkspace()!;
          const placed = { pixels: opened.place(part.data), box, size: source };
          const rows = new Uint8Array(expected.data.length);
          resizeRows(opened, placed, { size, window, isMirrored }, (row, y) => {
            rows.set(opened.bytes.subarray(row, row + window.width * 3), y * window.width * 3);
          });
          t.true(sameBytes(rows, expected.data), `case ${number}, mirrored ${isMirrored}, inner ${inner}`);
        }
      }
    }
  },
);

withPixelCode('distorted and normalised rows are those of the JavaScript for every kind and order of steps', (t) => {
  const step = (operation: PhotometricStep['operation'], value: number): PhotometricStep => ({ operation, value });
  const brightness = step('brightness', -17.3);
  const contrast = step('contrast', 1.4371);
  const chains: PhotometricStep[][] = [
    [],
    [brightness],
    [brightness, contrast],
    [step('saturation', 1.37), step('hue', 17)],
    [brightness, step('contrast', 0.613), step('saturation', 0.51), step('hue', -18)],
    [step('brightness', 31.9), step('saturation', 1.499), step('hue', 5), contrast],
    [step('hue', -1), brightness],
    [step('saturation', 0.5), brightness, step('hue', 0)],
  ];
  for (const [number, steps] of chains.entries()) {
    // Of whole vectors, of rests, and both.
    for (const width of [1, 63, 64, 130, 259]) {
      const image = picture(number * 10 + width, 16, width);
      // Grey, black, white and pure colours, where divisors are 0 and hues turn around.
      image.data.set(
        [0, 0, 0, 255, 255, 255, 9, 9, 9, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0, 255, 0, 1].slice(0, width * 3),
      );
      const opened = openWorkspace()!;
      const placed = placeImage(opened, image);
      const { steps: rowSteps, normalised } = prepareRows(opened, width, steps);
      const values = opened.reserve(width * 12);
      const actual = new Float32Array(image.data.length);
      resizeRows(opened, placed, { size: image, window: placed.box, isMirrored: false }, (row, y) => {
        for (const change of rowSteps) change(row);
        opened.code.normalise(row, width, normalised, values);
        actual.set(opened.floats(values, width * 3), y * width * 3);
      });
      const expected = new Float32Array(image.data.length);
      distort(image, steps);
      normaliseInto(image, expected);
      t.true(sameBytes(actual, expected), `chain ${number}, width ${width}`);
    }
  }
});

const RECIPE: DataRecipe = {
  dataset: 'any',
  imageScaleWh: [192, 96],
  ratioRange: [0.3, 2],
  cropHw: [48, 72],
  categoryMaximumRatio: 0.75,
  flipProbability: 0.5,
};

withPixelCode('whole training samples are those of the JavaScript for any draws, sizes and crops', (t) => {
  for (let seed = 0; seed < 60; seed++) {
    const [height, width] = [
      [96, 192],
      [95, 191],
      [60, 80],
      [192, 384],
      [33, 200],
      [130, 40],
    ][seed % 6] as [number, number];
    const cropHw = (
      [
        [48, 72],
        [64, 64],
        [97, 97],
      ] as const
    )[seed % 3]!;
    const recipe = { ...RECIPE, cropHw, categoryMaximumRatio: seed % 4 === 3 ? 1 : 0.6 };
    const sample = { image: picture(seed + 1, height, width), labels: labelMap(seed + 1, height, width) };
    const augmentation = { ...drawAugmentation(recipe, 11, seed, 0), ...(seed % 10 === 9 ? { ratio: 0.5 } : {}) };
    const pixels = cropHw[0] * cropHw[1];
    const actual = { images: new Float32Array(2 * pixels * 3), labels: new Int32Array(2 * pixels).fill(255) };
    const place = { ...actual, pixel: pixels, height: cropHw[0], width: cropHw[1] };
    t.true(augmentInto(openWorkspace()!, sample, recipe, augmentation, place));
    const expected = { images: new Float32Array(2 * pixels * 3), labels: new Int32Array(2 * pixels).fill(255) };
    const { image, labels } = augment(sample, recipe, augmentation);
    normaliseInto(image, expected.images, pixels * 3, cropHw[1]);
    for (let y = 0; y < labels.height; y++) {
      expected.labels.set(labels.data.subarray(y * labels.width, (y + 1) * labels.width), pixels + y * cropHw[1]);
    }
    t.true(sameBytes(actual.images, expected.images), `image, seed ${seed}`);
    t.true(sameBytes(actual.labels, expected.labels), `labels, seed ${seed}`);
  }
});

withPixelCode('views at every ratio are those of the JavaScript', (t) => {
  for (const [height, width] of [
    [64, 128],
    [65, 127],
    [33, 20],
  ] as const) {
    const image = picture(height, height, width);
    const views = makeViews(image, [128, 64], [0.5, 0.75, 1, 1.25, 1.5, 1.75], openWorkspace());
    for (const view of views) {
      const expected = makeView(image, [128, 64], view.ratio);
      t.deepEqual({ ...view, image: null }, { ...expected, image: null });
      t.true(sameBytes(view.image, expected.image), `ratio ${view.ratio} of ${height}×${width}`);
    }
    // Without the pixel code.
    t.true(sameBytes(makeViews(image, [128, 64], [1.25], null)[0]!.image, makeView(image, [128, 64], 1.25).image));
  }
});
