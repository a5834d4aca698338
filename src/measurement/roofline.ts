import type { Batch, ImageView } from '../data/image.js';
import type { Engine } from '../engines/engine.js';
import { createKernels } from '../kernels/create.js';
import { thenDispose } from '../kernels/kernels.js';
import type { Precision } from '../recipe/experiment.js';
import { Draws, Purpose } from '../support/random.js';

/** The middle value, or the mean of the middle two. @throws Error if there are none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('The median of no values.');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Waits until the device has done all its work. A GPU's operations run in order, so the result of one more operation arrives
 * when all are done; on a CPU operations are done when they return.
 */
export function drain(engine: Engine): void {
  const { tf } = engine;
  tf.tidy(() => tf.add(tf.scalar(0), 1).dataSync());
}

/** Drawn values are repeated after this many: a prime, so that rows of an image differ. */
const PERIOD = 65_521;

/** Standard normal values, roughly like normalised pixels, repeated every 65,521. Each `stream` has other values. */
export function normalValues(length: number, seed: number, stream: number): Float32Array {
  const values = new Float32Array(length);
  new Draws(seed, Purpose.benchmark, stream).fillNormal(values.subarray(0, PERIOD), 1);
  repeatValues(values);
  return values;
}

/** A view of random pixels at ratio 1. */
export function randomView([height, width]: readonly [number, number], seed: number): ImageView {
  return { ratio: 1, height, width, image: normalValues(height * width * 3, seed, 0) };
}

/** A training batch of random pixels and random labels of all classes. */
export function randomBatch(
  count: number,
  [height, width]: readonly [number, number],
  classes: number,
  seed: number,
): Batch {
  const draws = new Draws(seed, Purpose.benchmark, 2);
  const labels = new Int32Array(count * height * width);
  for (let i = 0; i < Math.min(labels.length, PERIOD); i++) labels[i] = draws.integer(i, 0, classes - 1);
  repeatValues(labels);
  return {
    count,
    height,
    width,
    images: normalValues(count * height * width * 3, seed, 1),
    labels,
    names: Array.from({ length: count }, (_, i) => `random ${i}`),
  };
}

/** Repeats the first period until the end. */
function repeatValues(values: Float32Array | Int32Array): void {
  for (let filled = PERIOD; filled < values.length; filled *= 2) values.copyWithin(filled, 0, filled);
}

const REPETITIONS = 4;

/**
 * Rate of a bare direct convolution (3×3, stride 1, padding 1, batch 1) in GFLOP/s (a multiply-accumulate counts 2): the best of a few
 * after a warm-up. It is what the hardware gives; a network with fast convolutions can have a higher rate. A network's rate is compared with it; measure it just before and after, because a machine's speed drifts.
 */
export function convolutionRate(engine: Engine, precision: Precision = 'fp32'): number {
  const { tf } = engine;
  const kernels = createKernels({ ...engine, convolution: 'direct' });
  // As in the last stage of a published network; without native code, small enough to take milliseconds.
  const [channels, height, width] = engine.isNative ? ([512, 64, 128] as const) : ([128, 32, 64] as const);
  const stored = (values: Float32Array, shape: [number, number, number, number]) => {
    const full = tf.tensor4d(values, shape);
    return thenDispose(kernels.cast(full, precision), full);
  };
  const x = stored(normalValues(height * width * channels, 0, 3), [1, height, width, channels]);
  const filter = stored(normalValues(9 * channels * channels, 0, 4), [3, 3, channels, channels]);
  const seconds = Array.from({ length: 1 + REPETITIONS }, () =>
    secondsOf(engine, () => kernels.convolution(x, filter, { stride: 1, dilation: 1, padding: 1 }).dispose()),
  );
  x.dispose();
  filter.dispose();
  return (2 * height * width * channels * channels * 9) / Math.min(...seconds.slice(1)) / 1e9;
}

/** Seconds of `work`, until the device has done it. */
export function secondsOf(engine: Engine, work: () => void): number {
  const start = performance.now();
  work();
  drain(engine);
  return (performance.now() - start) / 1000;
}
