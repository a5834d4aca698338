import type { Batch, View } from '../data/batch.js';
import { Draws, Purpose } from '../support/random.js';

/** Drawn values are repeated after this many: a prime, so that rows of an image differ. */
const PERIOD = 65_521;

/** Standard normal values, as normalised pixels roughly are, repeated every 65,521. `stream` tells inputs apart. */
export function normalValues(length: number, seed: number, stream: number): Float32Array {
  const values = new Float32Array(length);
  new Draws(seed, Purpose.benchmark, stream).fillNormal(values.subarray(0, PERIOD), 1);
  repeat(values);
  return values;
}

/** A view of random pixels at ratio 1. */
export function randomView([height, width]: readonly [number, number], seed: number): View {
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
  repeat(labels);
  return {
    count,
    height,
    width,
    images: normalValues(count * height * width * 3, seed, 1),
    labels,
    names: Array.from({ length: count }, (_, i) => `random ${i}`),
  };
}

/** Fills what lies after the first period with what lies before it. */
function repeat(values: Float32Array | Int32Array): void {
  for (let filled = PERIOD; filled < values.length; filled *= 2) values.copyWithin(filled, 0, filled);
}
