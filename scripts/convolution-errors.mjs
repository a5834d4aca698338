// Errors of 3×3 convolutions against float64 by each path, for the layers of R-50-D8 and R-101-D8 at full width: the table in
// docs/fidelity.md.
//
//   node scripts/convolution-errors.mjs
//
// Each layer is computed with its own channels to be summed and its dilation, for 16 channels of the result on a map of 24×32: errors do
// not depend on more. Images are ReLUs of normal values, gradients normal ones, filters as He's initialisation makes them. A cell is the
// largest error in parts of the largest result, and the root mean square error in parts of the results' root mean square.
import { startEngine } from '../dist/src/engines/selection.js';
import { tensorflowKernels } from '../dist/src/kernels/tensorflow/index.js';
import { allConvolutions, architecture } from '../dist/src/network/architecture.js';
import { resolve } from '../dist/src/recipe/resolve.js';
import { Draws, Purpose } from '../dist/src/support/random.js';
import { fail, ROWS } from './bench.mjs';

const PATHS = ['direct', 'F(2×2)', 'F(4×4)'];
const [HEIGHT, WIDTH, KEPT] = [24, 32, 16];

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

/** Errors of the forward pass and of the input gradient, a list by path of each. */
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

const columns = ['forward', 'input gradient'].flatMap((kind) => PATHS.map((path) => `${kind}, ${path}`));
const lines = [['layer', ...columns], Array(1 + columns.length).fill('---')];
for (const layer of layers()) {
  const errors = errorsOf(layer);
  lines.push([layer.name, ...[0, 1].flatMap((kind) => errors.map((of) => of[kind]))]);
}
process.stdout.write(`${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`);
