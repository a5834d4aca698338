import test, { type ExecutionContext } from 'ava';
import type { ImageView } from '../../src/data/image.js';
import type { Engine } from '../../src/engines/engine.js';
import { startEngine } from '../../src/engines/selection.js';
import { type ImageViews, Predictor } from '../../src/evaluation/inference.js';
import type { InferenceMode } from '../../src/evaluation/windows.js';
import { createKernels } from '../../src/kernels/create.js';
import type { Kernels } from '../../src/kernels/kernels.js';
import { NonFiniteOutputError } from '../../src/network/overflow.js';
import { Draws, Purpose } from '../../src/support/random.js';
import { assertClose } from '../helpers/numeric.js';
import { FAKE_CLASSES, fakeNetwork, referenceProbabilities } from './reference-inference.js';

const WHOLE: InferenceMode = { mode: 'whole', cropHw: null, strideHw: null };
const SLIDE: InferenceMode = { mode: 'slide', cropHw: [32, 40], strideHw: [21, 27] };

let engine: Engine;
let kernels: Kernels;

test.before(async () => {
  engine = await startEngine({ engine: 'wasm' });
  kernels = createKernels(engine);
});

function view(height: number, width: number, ratio = 1): ImageView {
  const image = new Float32Array(height * width * 3);
  new Draws(7, Purpose.benchmark, height * 1000 + width).fillNormal(image, 1);
  return { ratio, height, width, image };
}

function predictor(mode: InferenceMode, alignCorners: boolean, stripElements?: number): Predictor {
  const network = fakeNetwork(engine, alignCorners);
  return new Predictor({ engine, kernels, network, recipe: mode, ...(stripElements && { stripElements }) });
}

/** The logits are float32, and are resized twice; exponentials of them are averaged. Measured: 1.7e-6. */
const PROBABILITY_TOLERANCE = 6e-6;

/** Compares with the reference: probabilities closely, classes wherever the best two are not nearly equal. */
async function agrees(
  t: ExecutionContext,
  image: ImageViews,
  mode: InferenceMode,
  alignCorners: boolean,
  stripElements?: number,
): Promise<void> {
  const expected = referenceProbabilities({ ...image, mode, alignCorners });
  const subject = predictor(mode, alignCorners, stripElements);
  const actual = await subject.probabilities(image);
  t.is(actual.length, expected.length);
  const largest = actual.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0);
  t.true(largest < PROBABILITY_TOLERANCE, `probabilities differ by ${largest}`);

  const classes = await subject.predict(image);
  let wrong = 0;
  for (let pixel = 0; pixel < classes.length; pixel++) {
    const probabilities = [...expected.subarray(pixel * FAKE_CLASSES, (pixel + 1) * FAKE_CLASSES)];
    const best = Math.max(...probabilities);
    if (best - probabilities[classes[pixel]!]! > 2 * PROBABILITY_TOLERANCE) wrong++;
  }
  t.is(wrong, 0, 'pixels with another class');
  t.true(new Set(classes).size > 1);
}

for (const alignCorners of [false, true]) {
  const mode = alignCorners ? 'aligned corners' : 'half-pixel centres';
  test(`whole: two resizes, to the view's size and the image's own (${mode})`, async (t) => {
    await agrees(t, { size: [50, 71], views: [view(48, 64)], flip: false }, WHOLE, alignCorners);
    await agrees(t, { size: [33, 41], views: [view(48, 64)], flip: false }, WHOLE, alignCorners);
    await agrees(t, { size: [48, 64], views: [view(48, 64)], flip: false }, WHOLE, alignCorners);
  });

  test(`slide: overlapping windows are averaged as logits (${mode})`, async (t) => {
    await agrees(t, { size: [77, 90], views: [view(70, 101)], flip: false }, SLIDE, alignCorners);
    await agrees(t, { size: [70, 101], views: [view(70, 101)], flip: false }, SLIDE, alignCorners, 1500);
    // Lower than the window, wider than it.
    await agrees(t, { size: [40, 64], views: [view(20, 64)], flip: false }, SLIDE, alignCorners);
  });

  test(`multi-scale and flip: mean of the probabilities, mirrored back (${mode})`, async (t) => {
    const views = [view(24, 32, 0.5), view(48, 64), view(85, 113, 1.75)];
    await agrees(t, { size: [48, 64], views, flip: true }, WHOLE, alignCorners);
    await agrees(t, { size: [45, 67], views, flip: true }, SLIDE, alignCorners, 1200);
    await agrees(t, { size: [45, 67], views, flip: false }, WHOLE, alignCorners);
  });
}

test('interpolation by gathering, as on a GPU, gives the same', async (t) => {
  const image = { size: [50, 71], views: [view(48, 64), view(85, 113, 1.75)], flip: true } as const;
  const network = fakeNetwork(engine, false);
  const gpu = new Predictor({ engine: { ...engine, device: 'gpu' }, kernels, network, recipe: SLIDE });
  const expected = await predictor(SLIDE, false).probabilities(image);
  // Measured: 8.9e-8, the rounding of a probability near 1.
  assertClose(t, await gpu.probabilities(image), expected, { absolute: 3.5e-7 });
});

test('slide inference with one window is whole inference', async (t) => {
  const image = { size: [50, 71], views: [view(48, 64)], flip: false } as const;
  const slide: InferenceMode = { mode: 'slide', cropHw: [48, 64], strideHw: [30, 30] };
  t.deepEqual(await predictor(slide, false).probabilities(image), await predictor(WHOLE, false).probabilities(image));
});

test('the strips do not show: any height gives the same bits', async (t) => {
  for (const mode of [WHOLE, SLIDE]) {
    const image = { size: [50, 71], views: [view(48, 64), view(31, 45, 0.75)], flip: true } as const;
    const whole = await predictor(mode, false, 2 ** 30).probabilities(image);
    for (const rows of [1, 7, 32]) {
      t.deepEqual(await predictor(mode, false, rows * 71 * FAKE_CLASSES).probabilities(image), whole, `${rows} rows`);
    }
  }
});

test('with both directions seen, a mirrored image gives the mirrored prediction', async (t) => {
  const upright = view(40, 56);
  const mirrored = new Float32Array(upright.image.length);
  for (let y = 0; y < 40; y++)
    for (let x = 0; x < 56; x++)
      mirrored.set(upright.image.subarray((y * 56 + 55 - x) * 3, (y * 56 + 56 - x) * 3), (y * 56 + x) * 3);
  const subject = predictor(WHOLE, false);
  const first = await subject.predict({ size: [40, 56], views: [upright], flip: true });
  const second = await subject.predict({ size: [40, 56], views: [{ ...upright, image: mirrored }], flip: true });
  const differing = first.reduce((n, value, i) => {
    const [y, x] = [Math.floor(i / 56), i % 56];
    return n + (value === second[y * 56 + 55 - x] ? 0 : 1);
  }, 0);
  // The sums are added in another order, so that near ties may fall otherwise.
  t.true(differing <= 2, `${differing} pixels differ`);
});

test('logits that are not finite, or nearly so, have no largest class', async (t) => {
  const { tf } = engine;
  const sound = fakeNetwork(engine, false);
  for (const [value, message] of [
    [Number.POSITIVE_INFINITY, /^The logits are not all finite: /],
    [Number.NEGATIVE_INFINITY, /^The logits are not all finite: /],
    [Number.NaN, /^The logits are not all finite: /],
    [-1e32, /^The logits are too large for their sums and averages: the weights are finite, /],
  ] as const) {
    const network = {
      ...sound,
      logits: async (images: Parameters<typeof sound.logits>[0]) => {
        const logits = await sound.logits(images);
        const values = await logits.data();
        logits.dispose();
        values[5] = value;
        return tf.tensor4d(values, logits.shape);
      },
    };
    const subject = new Predictor({ engine, kernels, network, recipe: WHOLE });
    await t.throwsAsync(subject.predict({ size: [48, 64], views: [view(48, 64)], flip: false }), {
      instanceOf: NonFiniteOutputError,
      message,
    });
  }
});

// Serial: tests that run beside them would change the count.
test.serial('no tensor is left behind', async (t) => {
  const { tf } = engine;
  const image = { size: [50, 71], views: [view(48, 64), view(31, 45, 0.75)], flip: true } as const;
  for (const mode of [WHOLE, SLIDE]) {
    const subject = predictor(mode, false, 2000);
    const before = tf.memory().numTensors;
    await subject.predict(image);
    await subject.predict({ ...image, views: image.views.slice(0, 1), flip: false });
    await subject.probabilities(image);
    t.is(tf.memory().numTensors, before);
  }
});

test.serial('none is left behind either when the network fails', async (t) => {
  const { tf } = engine;
  const before = tf.memory().numTensors;
  let calls = 0;
  const sound = fakeNetwork(engine, false);
  const network = {
    ...sound,
    logits: async (images: Parameters<typeof sound.logits>[0]) => {
      calls++;
      if (calls === 3) throw new Error('no memory');
      return sound.logits(images);
    },
  };
  const subject = new Predictor({ engine, kernels, network, recipe: WHOLE });
  await t.throwsAsync(subject.predict({ size: [48, 64], views: [view(48, 64), view(24, 32)], flip: true }), {
    message: 'no memory',
  });
  t.is(tf.memory().numTensors, before);
});
