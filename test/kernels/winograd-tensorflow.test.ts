import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import { type ConvolutionGeometry, thenDispose } from '../../src/kernels/kernels.js';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { Operations } from '../../src/kernels/tensorflow/operations.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';
import { assertClose, dot, finiteDifferences, largestMagnitude, normals } from '../helpers/numeric.js';
import * as reference from '../helpers/reference.js';
import { assertExact, type Layer, layerName, NARROW_LAYERS } from '../helpers/winograd.js';
import { sumsOfBits } from '../helpers/winograd-bits.js';
import { execute, image, vector } from './suites/subject.js';

const engine = hasEngine('tensorflow') ? await startTestEngine('tensorflow') : null;
const whereFast = engine?.convolution === 'fast' ? test : test.skip;
const whereHalf = engine?.convolution === 'fast' && engine.halfPrecision === 'bf16' ? test : test.skip;

/** Of the largest, and of the root mean square: at most four times what was measured. */
const LIMITS = { 'F(2×2)': { largest: 1.8e-6, rms: 9e-7 }, 'F(4×4)': { largest: 6e-6, rms: 2.4e-6 } } as const;

/** Narrow layers, whose threads have strips of their own, and wide ones: several blocks of input channels, and groups of output channels. */
const LAYERS: readonly Layer[] = [
  ...NARROW_LAYERS,
  { shape: [1, 5, 6, 336], outputs: 80, dilation: 1 },
  { shape: [2, 5, 4, 32], outputs: 528, dilation: 1 },
];

/** The gradient of ⟨y, gradient⟩ for each input pixel and channel: the convolution with the turned filter. */
function inputGradient(
  gradient: ArrayLike<number>,
  gradientShape: reference.Shape4,
  filter: ArrayLike<number>,
  [, , inputs, outputs]: reference.Shape4,
  { dilation, padding }: ConvolutionGeometry,
): Float64Array {
  const turned = Float64Array.from({ length: filter.length }, (_, at) => {
    const [c, o, tap] = [at % inputs, Math.floor(at / inputs) % outputs, Math.floor(at / inputs / outputs)];
    return filter[((8 - tap) * inputs + c) * outputs + o]!;
  });
  const geometry = { stride: 1, dilation, padding: 2 * dilation - padding };
  return reference.convolution(gradient, gradientShape, turned, [3, 3, outputs, inputs], geometry);
}

for (const path of ['F(2×2)', 'F(4×4)'] as const) {
  for (const layer of LAYERS) {
    whereFast(
      `${path} of ${layerName(layer)} is the convolution, with bias, residual and ReLU, and its gradient`,
      (t) => {
        const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
        const subject = { name: path, tf: engine!.tf, kernels };
        const { shape, outputs, dilation, padding = dilation } = layer;
        const geometry = { stride: 1, dilation, padding };
        const filterShape = [3, 3, shape[3], outputs] as const;
        const yShape = reference.convolutionShape(shape, filterShape, geometry);
        const values = {
          x: normals(1, reference.size(shape), 0.5),
          filter: normals(2, reference.size(filterShape), 0, 0.1),
          bias: normals(3, outputs),
          residual: normals(4, reference.size(yShape)),
        };
        const inputs = {
          x: image(values.x, shape),
          filter: image(values.filter, filterShape),
          bias: vector(values.bias),
          residual: image(values.residual, yShape),
        };
        const { y, biased, added, dx } = execute(t, subject, inputs, ({ x, filter, bias, residual }) => ({
          y: kernels.convolution(x, filter, geometry),
          biased: kernels.convolutionBias(x, filter, bias, geometry, true),
          added: kernels.convolutionBias(x, filter, bias, geometry, true, residual),
          dx: kernels.convolutionInputGradient(residual, filter, shape, geometry),
        }));
        const sums = reference.convolution(values.x, shape, values.filter, filterShape, geometry);
        const withBias = sums.map((sum, i) => sum + values.bias[i % outputs]!);
        assertExact(t, y, sums, LIMITS[path], 'y');
        const relu = (value: number) => Math.max(value, 0);
        assertExact(t, biased, withBias.map(relu), LIMITS[path], 'with bias');
        assertExact(
          t,
          added,
          withBias.map((sum, i) => sum + values.residual[i]!).map(relu),
          LIMITS[path],
          'with residual',
        );
        assertExact(
          t,
          dx,
          inputGradient(values.residual, yShape, values.filter, filterShape, geometry),
          LIMITS[path],
          'gradient',
        );
      },
    );
  }

  whereHalf(`${path} takes a filter that is stored in 16 bits, as networks for inference store theirs`, (t) => {
    const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
    const geometry = { stride: 1, dilation: 1, padding: 1 };
    const inputs = {
      x: image(normals(1, 9 * 11 * 32), [1, 9, 11, 32]),
      filter: image(normals(2, 9 * 32 * 16, 0, 0.1), [3, 3, 32, 16]),
      bias: vector(normals(3, 16)),
    };
    const { half, full } = execute(t, { name: path, tf: engine!.tf, kernels }, inputs, ({ x, filter, bias }) => {
      const [image, stored] = [kernels.cast(x, 'bf16'), kernels.cast(filter, 'bf16')];
      const rounded = kernels.cast(stored, 'fp32');
      const results = [stored, rounded].map((each) => kernels.convolutionBias(image, each, bias, geometry, true));
      const [half, full] = results.map((result) => thenDispose(kernels.cast(result, 'fp32'), result));
      return thenDispose({ half: half!, full: full! }, image, stored, rounded);
    });
    t.deepEqual(half, full);
  });

  // A narrow layer, and a wide one with several blocks of input channels.
  for (const layer of [LAYERS[4]!, LAYERS[10]!]) {
    whereHalf(`${path} of 16-bit images ${layerName(layer)} is the convolution of their values, rounded once`, (t) => {
      const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
      const { shape, outputs, dilation } = layer;
      const geometry = { stride: 1, dilation, padding: dilation };
      const filterShape = [3, 3, shape[3], outputs] as const;
      const yShape = reference.convolutionShape(shape, filterShape, geometry);
      // The filter and the bias have values that 16 bits cannot hold.
      const filter = normals(2, reference.size(filterShape), 0, 0.1);
      const bias = normals(3, outputs);
      const drawn = { x: normals(1, reference.size(shape), 0.5), residual: normals(4, reference.size(yShape)) };
      const inputs = {
        x: image(drawn.x, shape),
        residual: image(drawn.residual, yShape),
        filter: image(filter, filterShape),
        bias: vector(bias),
      };
      const results = execute(t, { name: path, tf: engine!.tf, kernels }, inputs, (tensors) => {
        const [x, residual] = [kernels.cast(tensors.x, 'bf16'), kernels.cast(tensors.residual, 'bf16')];
        const stored = {
          x,
          residual,
          y: kernels.convolution(x, tensors.filter, geometry),
          biased: kernels.convolutionBias(x, tensors.filter, tensors.bias, geometry, true),
          added: kernels.convolutionBias(x, tensors.filter, tensors.bias, geometry, true, residual),
          dx: kernels.convolutionInputGradient(residual, tensors.filter, shape, geometry),
        };
        return Object.fromEntries(
          Object.entries(stored).map(([key, half]) => [key, thenDispose(kernels.cast(half, 'fp32'), half)]),
        ) as typeof stored;
      });
      const sums = reference.convolution(results.x, shape, filter, filterShape, geometry);
      const withBias = sums.map((sum, i) => sum + bias[i % outputs]!);
      const relu = (value: number) => Math.max(value, 0);
      const expected = {
        y: sums,
        biased: withBias.map(relu),
        added: withBias.map((sum, i) => sum + results.residual[i]!).map(relu),
        dx: inputGradient(results.residual, yShape, filter, filterShape, geometry),
      };
      // bfloat16 has 8 significant bits.
      const tolerance = { relative: 2 ** -8, ofLargest: LIMITS[path].largest };
      for (const [key, values] of Object.entries(expected)) {
        assertClose(t, results[key as keyof typeof expected], values, tolerance, key);
      }
    });
  }

  whereFast(`${path}: the input gradient is what finite differences are`, (t) => {
    const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
    const geometry = { stride: 1, dilation: 2, padding: 1 };
    const [shape, filterShape] = [[1, 6, 5, 16] as const, [3, 3, 16, 16] as const];
    const yShape = reference.convolutionShape(shape, filterShape, geometry);
    const x = normals(5, reference.size(shape));
    const filter = normals(6, reference.size(filterShape), 0, 0.1);
    const gradient = normals(7, reference.size(yShape));
    const inputs = { gradient: image(gradient, yShape), filter: image(filter, filterShape) };
    const { dx } = execute(t, { name: path, tf: engine!.tf, kernels }, inputs, (tensors) => ({
      dx: kernels.convolutionInputGradient(tensors.gradient, tensors.filter, shape, geometry),
    }));
    const product = (at: Float64Array) =>
      dot(gradient, reference.convolution(at, shape, filter, filterShape, geometry));
    assertExact(t, dx, finiteDifferences(product, x, 1), LIMITS[path], 'gradient');
  });

  whereFast(`${path}: a value that is not finite shows in the result, also after the ReLU`, (t) => {
    const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
    const { tf } = engine!;
    tf.tidy(() => {
      const filter: Tensor4D = tf.fill([3, 3, 16, 16], 0.1);
      const bias: Tensor1D = tf.zeros([16]);
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const values = normals(8, 9 * 9 * 16);
        values[(4 * 9 + 4) * 16 + 3] = value;
        const y = kernels.convolutionBias(tf.tensor4d(values, [1, 9, 9, 16]), filter, bias, plain, true);
        t.false(y.dataSync().every(Number.isFinite), `${value}`);
      }
    });
  });
}

const plain = { stride: 1, dilation: 1, padding: 1 } as const;

whereFast('an image has the same bits by itself, with others, and in strips of any size', (t) => {
  const { tf } = engine!;
  const operations = new Operations(engine!, () => {});
  for (const tile of [2, 4]) {
    for (const [inputs, outputs] of [
      [32, 48],
      [272, 80],
    ] as const) {
      tf.tidy(() => {
        const x = tf.tensor4d(normals(9, 3 * 11 * 13 * inputs), [3, 11, 13, inputs]);
        const filter = tf.tensor4d(normals(10, 9 * inputs * outputs), [3, 3, inputs, outputs]);
        const bits = (images: Tensor4D, strip: number) => {
          const attributes = [
            ...Object.entries({ tile, dilation: 2, padding: 2, strip }),
            ...Object.entries({ biased: false, add: false, relu: false, joined: false }),
          ].map(([key, value]) => operations.attribute(key, value));
          const all = [operations.typeOf(images), ...attributes];
          const inputs = [images, filter, filter, images, images];
          return operations.run<Tensor4D>('FcnWinogradConvolution', all, inputs).dataSync();
        };
        const whole = bits(x, 0);
        for (const strip of [1, 5, 29]) t.deepEqual(bits(x, strip), whole, `strips of ${strip}`);
        const second = operations.slice(x, [1, 0, 0, 0], [1, 11, 13, inputs]);
        t.deepEqual(bits(second, 0), whole.slice(whole.length / 3, (2 * whole.length) / 3));
      });
    }
  }
});

whereFast('two images beside each other have the bits of one image with the channels of both', (t) => {
  const { tf } = engine!;
  for (const path of ['F(2×2)', 'F(4×4)'] as const) {
    const kernels = tensorflowKernels(engine!, { convolutionPath: () => path });
    // Of narrow and wide layers; the second image begins within a block of channels, at one, or there is none.
    for (const [first, second, outputs] of [
      [16, 32, 48],
      [96, 272, 80],
      [256, 64, 80],
      [512, 0, 48],
      [8, 24, 32],
    ] as const) {
      tf.tidy(() => {
        const [height, width, channels] = [11, 13, first + second];
        const x = tf.tensor4d(normals(13, 2 * height * width * channels), [2, height, width, channels]);
        const [a, b] = [kernels.sliceChannels(x, 0, first), kernels.sliceChannels(x, first, second)];
        const filter = tf.tensor4d(normals(14, 9 * channels * outputs), [3, 3, channels, outputs]);
        const bias = tf.tensor1d(normals(15, outputs));
        const geometry = { stride: 1, dilation: 2, padding: 2 };
        for (const precision of ['fp32', 'bf16'] as const) {
          const stored = (image: Tensor4D) => kernels.cast(image, precision);
          const joined = kernels.joinedConvolutionBias(stored(a), stored(b), filter, bias, geometry, true);
          const whole = kernels.convolutionBias(stored(x), filter, bias, geometry, true);
          const [actual, expected] = [joined, whole].map((y) => kernels.cast(y, 'fp32').dataSync());
          t.deepEqual(actual, expected, `${path}, ${precision}, ${first} and ${second} channels`);
        }
      });
    }
  }
});

const run = promisify(execFile);
const bitsHelper = fileURLToPath(new URL('../helpers/winograd-bits.js', import.meta.url));

whereFast(
  'one thread and another instruction set give the same bits; a processor without either convolves directly',
  async (t) => {
    const environments = [{ TF_NUM_INTRAOP_THREADS: '1', FCN_INSTRUCTIONS: 'avx2' }, { FCN_INSTRUCTIONS: 'none' }];
    const outputs = await Promise.all(
      environments.map(async (more) => {
        const { stdout } = await run(process.execPath, [bitsHelper], { env: { ...process.env, ...more } });
        return JSON.parse(stdout) as unknown;
      }),
    );
    t.deepEqual(outputs[0], { convolution: 'fast', bits: sumsOfBits(engine!) });
    t.like(outputs[1], { convolution: 'direct' });
  },
);

whereFast('what the operations cannot take is an error that says so', (t) => {
  const kernels = tensorflowKernels(engine!, { convolutionPath: () => 'F(4×4)' });
  const { tf } = engine!;
  const [images, filter]: Tensor4D[] = [tf.zeros([1, 4, 4, 24]), tf.zeros([3, 3, 24, 16])];
  const even: Tensor4D = tf.zeros([3, 3, 16, 16]);
  t.throws(() => kernels.convolution(images!, filter!, plain), { message: /multiples of 16/ });
  t.throws(() => kernels.convolution(images!, even, plain), { message: /filter's input channels/ });
  const small = { stride: 1, dilation: 3, padding: 0 };
  t.throws(() => kernels.convolution(tf.zeros([1, 4, 4, 16]), even, small), { message: /smaller than the filter/ });
  t.throws(() => kernels.convolutionBias(tf.zeros([1, 4, 4, 16]), even, tf.zeros([3]), plain, false), {
    message: /a value for each output channel/,
  });
  const [beside, both]: Tensor4D[] = [tf.zeros([1, 4, 5, 16]), tf.zeros([3, 3, 32, 16])];
  t.throws(() => kernels.joinedConvolutionBias(tf.zeros([1, 4, 4, 16]), beside!, both!, tf.zeros([16]), plain, false), {
    message: /both images must have one size/,
  });
});

whereFast('the largest magnitude of a result stays, whatever its scale', (t) => {
  const kernels = tensorflowKernels(engine!, { convolutionPath: () => 'F(4×4)' });
  const { tf } = engine!;
  const largest = [1e-30, 1, 1e30].map((scale) =>
    tf.tidy(() => {
      const x = tf.tensor4d(normals(11, 8 * 8 * 16, 0, scale), [1, 8, 8, 16]);
      const filter = tf.tensor4d(normals(12, 9 * 16 * 16), [3, 3, 16, 16]);
      return largestMagnitude(kernels.convolution(x, filter, plain).dataSync()) / scale;
    }),
  );
  assertClose(t, largest, Array(3).fill(largest[1]!), { relative: 4e-6 });
});
