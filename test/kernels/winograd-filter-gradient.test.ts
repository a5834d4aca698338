import type { Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import type { ConvolutionGeometry } from '../../src/kernels/kernels.js';
import { portableKernels } from '../../src/kernels/portable/index.js';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { Operations } from '../../src/kernels/tensorflow/operations.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';
import { assertClose, dot, finiteDifferences, normals } from '../helpers/numeric.js';
import * as reference from '../helpers/reference.js';
import { assertExact, cheapest, type Layer, layerName, NARROW_LAYERS } from '../helpers/winograd.js';
import { execute, image } from './suites/subject.js';

const engine = hasEngine('tensorflow') ? await startTestEngine('tensorflow') : null;
const whereFast = engine?.convolution === 'fast' ? test : test.skip;
const whereHalf = engine?.convolution === 'fast' && engine.halfPrecision === 'bf16' ? test : test.skip;

/** Of the largest, and of the root mean square: at most four times what was measured. */
const LIMITS = { 'F(2×2)': { largest: 1.6e-6, rms: 1.3e-6 }, 'F(4×4)': { largest: 5.5e-6, rms: 3.6e-6 } } as const;
/** Two blocks of input channels (144); two strips of tiles, the second with a sum that is not full (2×67×61). */
const LAYERS: readonly Layer[] = [
  ...NARROW_LAYERS,
  { shape: [1, 5, 6, 144], outputs: 32, dilation: 1 },
  { shape: [2, 67, 61, 16], outputs: 16, dilation: 1 },
];

interface Draws {
  readonly geometry: ConvolutionGeometry;
  readonly filterShape: reference.Shape4;
  readonly yShape: reference.Shape4;
  readonly x: Float32Array;
  readonly gradient: Float32Array;
}

function draw({ shape, outputs, dilation, padding = dilation }: Layer): Draws {
  const geometry = { stride: 1, dilation, padding };
  const filterShape = [3, 3, shape[3], outputs] as const;
  const yShape = reference.convolutionShape(shape, filterShape, geometry);
  const x = normals(1, reference.size(shape), 0.5);
  return { geometry, filterShape, yShape, x, gradient: normals(2, reference.size(yShape)) };
}

/** Each tap of the filter multiplies the input pixel under it, so its gradient is the sum of their products with the output's gradient. */
function filterGradient(shape: reference.Shape4, { geometry, filterShape, yShape, x, gradient }: Draws): Float64Array {
  const [images, height, width, inputs] = shape;
  const [, outHeight, outWidth, outputs] = yShape;
  const sums = new Float64Array(reference.size(filterShape));
  for (let pixel = 0; pixel < images * outHeight * outWidth; pixel++) {
    const [n, h, w] = [
      Math.floor(pixel / outWidth / outHeight),
      Math.floor(pixel / outWidth) % outHeight,
      pixel % outWidth,
    ];
    for (let tap = 0; tap < 9; tap++) {
      const row = h + Math.floor(tap / 3) * geometry.dilation - geometry.padding;
      const column = w + (tap % 3) * geometry.dilation - geometry.padding;
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      for (let c = 0; c < inputs; c++) {
        const value = x[((n * height + row) * width + column) * inputs + c]!;
        for (let o = 0; o < outputs; o++) {
          sums[(tap * inputs + c) * outputs + o]! += value * gradient[pixel * outputs + o]!;
        }
      }
    }
  }
  return sums;
}

for (const path of ['F(2×2)', 'F(4×4)'] as const) {
  for (const layer of LAYERS) {
    const { shape } = layer;
    whereFast(`${path}: the filter gradient of ${layerName(layer)}`, (t) => {
      const draws = draw(layer);
      const { geometry, filterShape, yShape, x, gradient } = draws;
      const inputs = { gradient: image(gradient, yShape), x: image(x, shape) };
      const [own, portable] = [
        tensorflowKernels(engine!, { convolutionPath: () => path }),
        portableKernels(engine!.tf),
      ].map(
        (kernels) =>
          execute(t, { name: path, tf: engine!.tf, kernels }, inputs, (tensors) => ({
            dw: kernels.convolutionFilterGradient(tensors.gradient, tensors.x, filterShape, geometry),
          })).dw,
      ) as [ArrayLike<number>, ArrayLike<number>];
      const expected = filterGradient(shape, draws);
      assertExact(t, own, expected, LIMITS[path], 'float64');
      assertClose(t, own, portable, { ofLargest: 2 * LIMITS[path].largest }, 'portable');
    });
  }

  whereFast(`${path}: the filter gradient is what finite differences are`, (t) => {
    const shape = [2, 6, 5, 16] as const;
    const { geometry, filterShape, yShape, x, gradient } = draw({ shape, outputs: 16, dilation: 2, padding: 1 });
    const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
    const inputs = { gradient: image(gradient, yShape), x: image(x, shape) };
    const { dw } = execute(t, { name: path, tf: engine!.tf, kernels }, inputs, (tensors) => ({
      dw: kernels.convolutionFilterGradient(tensors.gradient, tensors.x, filterShape, geometry),
    }));
    const product = (at: Float64Array) => dot(gradient, reference.convolution(x, shape, at, filterShape, geometry));
    const filter = normals(3, reference.size(filterShape), 0, 0.1);
    assertExact(t, dw, finiteDifferences(product, filter, 1), LIMITS[path], 'gradient');
  });

  whereFast(`${path}: a value that is not finite shows in the filter gradient`, (t) => {
    const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
    const { tf } = engine!;
    tf.tidy(() => {
      const x: Tensor4D = tf.fill([1, 9, 9, 16], 0.1);
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const values = normals(4, 9 * 9 * 16);
        values[(4 * 9 + 4) * 16 + 3] = value;
        const gradient = tf.tensor4d(values, [1, 9, 9, 16]);
        const dw = kernels.convolutionFilterGradient(gradient, x, [3, 3, 16, 16], plain).dataSync();
        t.false(dw.every(Number.isFinite), `${value}`);
        t.true(dw.filter((_, i) => i % 16 !== 3).every(Number.isFinite), `${value} in its own channel alone`);
      }
    });
  });

  whereHalf(`${path}: the filter gradient of 16-bit images is that of their values, rounded once`, (t) => {
    const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
    const { tf } = engine!;
    const layer = { shape: [2, 11, 9, 144], outputs: 48, dilation: 2 } as const;
    const draws = draw(layer);
    tf.tidy(() => {
      const rounded = [tf.tensor4d(draws.x, [...layer.shape]), tf.tensor4d(draws.gradient, [...draws.yShape])].map(
        (x) => kernels.cast(x, 'bf16'),
      ) as [Tensor4D, Tensor4D];
      const [x, gradient] = rounded.map((half) => kernels.cast(half, 'fp32').dataSync() as Float32Array) as [
        Float32Array,
        Float32Array,
      ];
      const half = kernels.convolutionFilterGradient(rounded[1], rounded[0], draws.filterShape, draws.geometry);
      const expected = filterGradient(layer.shape, { ...draws, x, gradient });
      // bfloat16 has 8 significant bits.
      const tolerance = { relative: 2 ** -8, ofLargest: LIMITS[path].largest };
      assertClose(t, kernels.cast(half, 'fp32').dataSync(), expected, tolerance);
    });
  });
}

const plain = { stride: 1, dilation: 1, padding: 1 } as const;

whereFast('strips of any size give the same bits', (t) => {
  const { tf } = engine!;
  const operations = new Operations(engine!, () => {});
  for (const tile of [2, 4]) {
    for (const inputs of [16, 144]) {
      tf.tidy(() => {
        const x = tf.tensor4d(normals(5, 2 * 67 * 61 * inputs), [2, 67, 61, inputs]);
        const gradient = tf.tensor4d(normals(6, 2 * 67 * 61 * 48), [2, 67, 61, 48]);
        const bits = (strip: number) => {
          const numbers = Object.entries({ tile, dilation: 2, padding: 2, strip });
          const attributes = numbers.map(([key, value]) => operations.attribute(key, value));
          return operations
            .run<Tensor4D>('FcnWinogradFilterGradient', [operations.typeOf(x), ...attributes], [gradient, x])
            .dataSync();
        };
        const best = bits(0);
        for (const strip of [1, 129, 1e6]) t.deepEqual(bits(strip), best, `strips of ${strip}`);
      });
    }
  }
});

whereFast('a channel has the same bits with others, also with so many that they are computed in sections', (t) => {
  const kernels = tensorflowKernels(engine!, { convolutionPath: () => 'F(4×4)' });
  const { tf } = engine!;
  tf.tidy(() => {
    // A tile of 1 to 4 pixels for each phase of each image: 8·144 tiles of 320 channels are more than are kept at a time.
    const geometry = { stride: 1, dilation: 12, padding: 12 };
    const x = tf.tensor4d(normals(7, 8 * 13 * 13 * 144), [8, 13, 13, 144]);
    const gradient = tf.tensor4d(normals(8, 8 * 13 * 13 * 320), [8, 13, 13, 320]);
    const all = kernels.convolutionFilterGradient(gradient, x, [3, 3, 144, 320], geometry);
    for (const begin of [0, 128, 304]) {
      const part = kernels.sliceChannels(gradient, begin, 16);
      const alone = kernels.convolutionFilterGradient(part, x, [3, 3, 144, 16], geometry).dataSync();
      t.deepEqual(kernels.sliceChannels(all, begin, 16).dataSync(), alone);
    }
  });
});

whereFast('what the operation cannot take is an error that says so', (t) => {
  const kernels = tensorflowKernels(engine!, { convolutionPath: () => 'F(4×4)' });
  const { tf } = engine!;
  const zeros = (...shape: [number, number, number, number]): Tensor4D => tf.zeros(shape);
  const call = (gradient: Tensor4D, x: Tensor4D) => () =>
    kernels.convolutionFilterGradient(gradient, x, [3, 3, x.shape[3], gradient.shape[3]], plain);
  t.throws(call(zeros(1, 4, 4, 16), zeros(1, 4, 4, 24)), { message: /multiples of 16/ });
  t.throws(call(zeros(1, 4, 5, 16), zeros(1, 4, 4, 16)), { message: /size of the convolution's output/ });
  t.throws(call(zeros(2, 4, 4, 16), zeros(1, 4, 4, 16)), { message: /size of the convolution's output/ });
  t.throws(call(zeros(0, 4, 4, 16), zeros(0, 4, 4, 16)), { message: /no output/ });
});

test('the path of a filter gradient counts all images of the batch, and direct ones of 16-bit images as twice as fast', (t) => {
  t.is(cheapest([8, 8], [512, 512], 1, { images: 1 }), 'direct');
  t.is(cheapest([8, 8], [512, 512], 1, { images: 16 }), 'F(4×4)');
  const half = { images: 2, halfSpeed: 2 };
  t.is(cheapest([64, 128], [64, 64], 1, half), 'F(4×4)');
  t.is(cheapest([32, 64], [512, 512], 4, half), 'F(4×4)');
  // Measured at 1.3 of the direct one's time.
  t.is(cheapest([32, 64], [512, 512], 12, { images: 2 }), 'F(4×4)');
  t.is(cheapest([32, 64], [512, 512], 12, half), 'direct');
  t.is(cheapest([64, 128], [16, 16], 1, half), 'direct');
});
