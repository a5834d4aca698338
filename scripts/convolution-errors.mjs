// Errors of 3×3 convolutions against float64 by each path, for the layers of R-50-D8 and R-101-D8 at full width: the table in
// docs/fidelity.md.
//
//   node scripts/convolution-errors.mjs
//
// Each layer is computed with its own channels to be summed and its dilation, for 16 channels of the result on a map of 24×32: errors do
// not depend on more. A filter gradient sums over pixels: it is computed for 16 channels of either side on the map of a crop of 512×1024
// pixels, which is that of 64×128 in the last stages. Images are ReLUs of normal values, gradients normal ones, filters as He's initialisation makes them. A cell is the
// largest error in parts of the largest result, and the root mean square error in parts of the results' root mean square.
import { startEngine } from '../dist/src/engines/selection.js';
import { tensorflowKernels } from '../dist/src/kernels/tensorflow/index.js';
import { allConvolutions, architecture } from '../dist/src/network/architecture.js';
import { resolve } from '../dist/src/recipe/resolve.js';
import { Draws, Purpose } from '../dist/src/support/random.js';
import { fail, ROWS } from './bench.mjs';

const PATHS = ['direct', 'F(2×2)', 'F(4×4)'];
const [HEIGHT, WIDTH, KEPT] = [24, 32, 16];
const SUMMED = { height: 64, width: 128 };

/** The distinct 3×3 convolutions of stride 1 of the networks: channels and dilation. */
function layers() {
  const found = new Map();
  for (const depth of [50, 101]) {
    for (const spec of allConvolutions(architecture(resolve({ row: ROWS[depth] }).model))) {
      const { kernel, inputChannels, outputChannels, geometry } = spec;
      if (kernel !== 3 || geometry.stride !== 1) continue;
      const name = `${inputChannels} → ${outputChannels}, dilation ${geometry.dilation}`;
      found.set(name, { name, inputs: inputChannels, outputs: outputChannels, geometry });
    }
  }
  return [...found.values()];
}

function normals(seed, count, deviation) {
  const values = new Float32Array(count);
  new Draws(seed, Purpose.generate, 0).fillNormal(values, deviation);
  return values;
}

/** [H,W,I] ∗ [3,3,I,O] in float64, of the same size. */
function exact(x, filter, inputs, outputs, dilation) {
  const y = new Float64Array(HEIGHT * WIDTH * outputs);
  for (let row = 0; row < HEIGHT; row++) {
    for (let column = 0; column < WIDTH; column++) {
      const sums = y.subarray((row * WIDTH + column) * outputs, (row * WIDTH + column + 1) * outputs);
      for (let tap = 0; tap < 9; tap++) {
        const [h, w] = [row + (Math.floor(tap / 3) - 1) * dilation, column + ((tap % 3) - 1) * dilation];
        if (h < 0 || h >= HEIGHT || w < 0 || w >= WIDTH) continue;
        for (let c = 0; c < inputs; c++) {
          const value = x[(h * WIDTH + w) * inputs + c];
          const weights = (tap * inputs + c) * outputs;
          for (let o = 0; o < outputs; o++) sums[o] += value * filter[weights + o];
        }
      }
    }
  }
  return y;
}

/** The gradient [3,3,16,16] of a filter in float64, of x and the gradient [H,W,16] of its convolution. */
function exactFilterGradient(x, gradient, { height, width }, dilation) {
  const sums = new Float64Array(9 * KEPT * KEPT);
  for (let tap = 0; tap < 9; tap++) {
    const [down, right] = [(Math.floor(tap / 3) - 1) * dilation, ((tap % 3) - 1) * dilation];
    for (let row = Math.max(0, -down); row < Math.min(height, height - down); row++) {
      for (let column = Math.max(0, -right); column < Math.min(width, width - right); column++) {
        const source = ((row + down) * width + column + right) * KEPT;
        const result = (row * width + column) * KEPT;
        for (let c = 0; c < KEPT; c++) {
          for (let o = 0; o < KEPT; o++) sums[(tap * KEPT + c) * KEPT + o] += x[source + c] * gradient[result + o];
        }
      }
    }
  }
  return sums;
}

/** A filter [3,3,I,O] turned by 180°, with its channels exchanged. */
function turned(filter, inputs, outputs) {
  const result = new Float32Array(filter.length);
  for (let tap = 0; tap < 9; tap++) {
    for (let c = 0; c < inputs; c++) {
      for (let o = 0; o < outputs; o++) {
        result[((8 - tap) * outputs + o) * inputs + c] = filter[(tap * inputs + c) * outputs + o];
      }
    }
  }
  return result;
}

function errorOf(actual, expected) {
  let [largest, worst, squares, errors] = [0, 0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    largest = Math.max(largest, Math.abs(expected[i]));
    worst = Math.max(worst, error);
    squares += expected[i] ** 2;
    errors += error ** 2;
  }
  return `${(worst / largest).toExponential(1)}, ${Math.sqrt(errors / squares).toExponential(1)}`;
}

const engine = await startEngine({ engine: 'tensorflow' });
if (engine.convolution !== 'fast') fail('This machine has no fast convolutions: nothing to compare.');
const { tf } = engine;
const kernels = PATHS.map((path) => tensorflowKernels(engine, { convolutionPath: () => path }));

/** Errors of the forward pass and of the input gradient, for each path. */
function errorsOf({ inputs, outputs, geometry }) {
  const { dilation } = geometry;
  const forward = {
    x: normals(1, HEIGHT * WIDTH * inputs, 1).map((value) => Math.max(value, 0)),
    filter: normals(2, 9 * inputs * KEPT, Math.sqrt(2 / (9 * inputs))),
  };
  const expected = exact(forward.x, forward.filter, inputs, KEPT, dilation);
  const backward = {
    gradient: normals(3, HEIGHT * WIDTH * outputs, 1),
    filter: normals(4, 9 * KEPT * outputs, Math.sqrt(2 / (9 * inputs))),
  };
  const shape = [1, HEIGHT, WIDTH, KEPT];
  const expectedGradient = exact(backward.gradient, turned(backward.filter, KEPT, outputs), outputs, KEPT, dilation);
  return kernels.map((own) =>
    tf.tidy(() => {
      const x = tf.tensor4d(forward.x, [1, HEIGHT, WIDTH, inputs]);
      const y = own.convolution(x, tf.tensor4d(forward.filter, [3, 3, inputs, KEPT]), geometry);
      const gradient = tf.tensor4d(backward.gradient, [1, HEIGHT, WIDTH, outputs]);
      const filter = tf.tensor4d(backward.filter, [3, 3, KEPT, outputs]);
      const dx = own.convolutionInputGradient(gradient, filter, shape, geometry);
      return [errorOf(y.dataSync(), expected), errorOf(dx.dataSync(), expectedGradient)];
    }),
  );
}

/** Errors of the filter gradient, for each path. */
function filterGradientErrors(geometry) {
  const { height, width } = SUMMED;
  const map = [1, height, width, KEPT];
  const x = normals(5, height * width * KEPT, 1).map((value) => Math.max(value, 0));
  const gradient = normals(6, height * width * KEPT, 1);
  const expected = exactFilterGradient(x, gradient, SUMMED, geometry.dilation);
  return kernels.map((own) =>
    tf.tidy(() => {
      const images = [tf.tensor4d(gradient, map), tf.tensor4d(x, map)];
      const result = own.convolutionFilterGradient(...images, [3, 3, KEPT, KEPT], geometry);
      return errorOf(result.dataSync(), expected);
    }),
  );
}

function printTable(head, lines) {
  const all = [head, head.map(() => '---'), ...lines];
  process.stdout.write(`${all.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n\n`);
}

const found = layers();
printTable(
  ['layer', ...['forward', 'input gradient'].flatMap((kind) => PATHS.map((path) => `${kind}: ${path}`))],
  found.map((layer) => {
    const errors = errorsOf(layer);
    return [layer.name, ...[0, 1].flatMap((kind) => errors.map((of) => of[kind]))];
  }),
);
const byDilation = new Map(found.map(({ geometry }) => [geometry.dilation, geometry]));
printTable(
  ['filter gradient', ...PATHS],
  [...byDilation.values()].map((geometry) => [`dilation ${geometry.dilation}`, ...filterGradientErrors(geometry)]),
);
