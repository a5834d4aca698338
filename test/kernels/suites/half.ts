import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import type { Kernels } from '../../../src/kernels/kernels.js';
import type { Precision } from '../../../src/recipe/experiment.js';
import { assertClose, normals } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import type { Subject } from './subject.js';

/** Half the distance between neighbouring numbers from 1 on. */
const UNIT_ROUNDOFF = { bf16: 2 ** -8, fp16: 2 ** -11 } as const;

type Shape = readonly [number, number, number, number];
type Stored = (x: Tensor4D) => Tensor4D;

/** Results of a kernel: those stored in 16 bits, and those that are always float32. */
interface Outcome {
  readonly stored?: Readonly<Record<string, Tensor>>;
  readonly full?: Readonly<Record<string, Tensor>>;
}

/**
 * Declares tests that kernels on images in 16 bits give what the same kernels give in float32 on the same values, but for
 * the rounding of the result.
 */
export function halfTests({ name, tf, kernels }: Subject, precision: Exclude<Precision, 'fp32'>): void {
  const unit = UNIT_ROUNDOFF[precision];
  let draws = 0;
  const values = (shape: Shape, deviation = 1): Tensor4D =>
    tf.tensor4d(Float32Array.from(normals(++draws, reference.size(shape), 0, deviation)), [...shape]);

  /** Compares `body` on images in 16 bits with `body` on the same values in float32. */
  function agrees(
    title: string,
    shapes: readonly Shape[],
    body: (images: Tensor4D[], stored: Stored) => Outcome,
  ): void {
    test(`${name}, ${precision}: ${title}`, (t) => {
      const before = tf.memory().numTensors;
      const images = shapes.map((shape) => {
        const drawn = values(shape);
        const rounded = kernels.cast(drawn, precision);
        drawn.dispose();
        return rounded;
      });
      const full = images.map((x) => kernels.cast(x, 'fp32'));
      const actual = body(images, (x) => kernels.cast(x, precision));
      const expected = body(full, (x) => tf.clone(x));
      for (const kind of ['stored', 'full'] as const) {
        for (const [key, tensor] of Object.entries(actual[kind] ?? {})) {
          const read = kind === 'stored' ? kernels.cast(tensor, 'fp32') : tf.clone(tensor);
          // Rounded once, or twice if it is the sum of slices; processors sum float16 in float16. Measured: 5.3e-3 and
          // 3.6e-3. What is float32 differs by the order of sums: 3.3e-7.
          const ofStored = precision === 'bf16' ? 2 * unit : 16 * unit;
          const tolerance = { ofLargest: kind === 'stored' ? ofStored : 1.2e-6 };
          assertClose(t, read.dataSync(), expected[kind]![key]!.dataSync(), tolerance, key);
          read.dispose();
        }
      }
      tf.dispose([images, full, { ...actual }, { ...expected }]);
      t.is(tf.memory().numTensors, before, 'tensors left');
    });
  }

  for (const [kernel, inputs, outputs, geometry] of [
    [3, 16, 24, { stride: 1, dilation: 2, padding: 2 }],
    [1, 32, 16, { stride: 1, dilation: 1, padding: 0 }],
    [1, 32, 16, { stride: 2, dilation: 1, padding: 0 }],
    [7, 3, 16, { stride: 2, dilation: 1, padding: 3 }],
    [3, 1024, 16, { stride: 1, dilation: 1, padding: 1 }],
  ] as const) {
    // On processors, TensorFlow has no gradients of dilated convolutions in float16.
    if (precision === 'fp16' && geometry.dilation > 1) continue;
    const shape: Shape = [2, 13, 18, inputs];
    const filterShape = [kernel, kernel, inputs, outputs] as const;
    const yShape = reference.convolutionShape(shape, filterShape, geometry) as Shape;
    agrees(
      `${kernel}×${kernel} convolution of ${inputs} channels, stride ${geometry.stride}`,
      [shape, yShape, filterShape],
      ([x, gradient, filter]) => {
        // The filter is a parameter, so float32; of values that 16 bits can hold, so that only results are rounded.
        const parameter = kernels.cast(filter!, 'fp32');
        const bias = tf.tensor1d(Float32Array.from({ length: outputs }, (_, i) => i / 8 - 1)) as Tensor1D;
        const stored = {
          y: kernels.convolution(x!, parameter, geometry),
          activated: kernels.convolutionBias(x!, parameter, bias, geometry, true),
          'input gradient': kernels.convolutionInputGradient(gradient!, parameter, shape, geometry),
          'filter gradient': kernels.convolutionFilterGradient(gradient!, x!, filterShape, geometry),
        };
        tf.dispose([parameter, bias]);
        return { stored };
      },
    );
  }

  agrees(
    'batch norm, its ReLU, residual and gradient',
    [
      [2, 9, 14, 24],
      [2, 9, 14, 24],
    ],
    ([x, other]) => {
      const normalisation = {
        gamma: tf.tensor1d(Float32Array.from(normals(90, 24, 1, 0.2))) as Tensor1D,
        beta: tf.tensor1d(Float32Array.from(normals(91, 24))) as Tensor1D,
        epsilon: 1e-5,
      };
      const { y, statistics } = kernels.batchNorm(x!, normalisation, { relu: true });
      const joined = kernels.batchNormApply(x!, normalisation, statistics, { relu: true, residual: other! });
      const plain = kernels.batchNormGradient(other!, x!, normalisation, statistics, null);
      tf.dispose([normalisation.gamma, normalisation.beta]);
      return {
        stored: { y, joined, 'x gradient': plain.x },
        full: { ...statistics, 'γ gradient': plain.gamma, 'β gradient': plain.beta },
      };
    },
  );

  agrees(
    'max pool and its gradient',
    [
      [2, 12, 16, 8],
      [2, 6, 8, 8],
    ],
    ([x, gradient]) => {
      const y = kernels.maxPool(x!);
      return { stored: { y, 'x gradient': kernels.maxPoolGradient(gradient!, x!, y) } };
    },
  );

  agrees(
    'pointwise kernels',
    [
      [2, 5, 6, 8],
      [2, 5, 6, 8],
    ],
    ([a, b]) => {
      const factors = tf.tensor4d(
        Float32Array.from({ length: 16 }, (_, i) => (i % 3 === 0 ? 0 : 1.25)),
        [2, 1, 1, 8],
      );
      const scaled = kernels.scaleChannels(a!, factors);
      factors.dispose();
      return {
        stored: {
          relu: kernels.relu(a!),
          sum: kernels.add(a!, b!),
          joined: kernels.concatenateChannels(a!, b!),
          part: kernels.sliceChannels(a!, 3, 4),
          scaled,
          // Last: it may write into the first gradient's memory.
          'ReLU gradient': kernels.reluGradient([tf.clone(a!)], b!),
        },
      };
    },
  );

  for (const alignCorners of [false, true]) {
    agrees(`resize to float32, ${alignCorners ? 'aligned' : 'half-pixel'}`, [[1, 5, 7, 3]], ([x]) => ({
      full: { y: kernels.resizeBilinear(x!, [17, 20], alignCorners) },
    }));
  }

  agrees('a momentum step takes a gradient in 16 bits', [[3, 3, 8, 8]], ([gradient]) => {
    const parameter = values([3, 3, 8, 8]);
    draws--;
    const velocity = tf.zerosLike(parameter);
    const step = { learningRate: 0.1, momentum: 0.9, weightDecay: 0.01, gradientFactor: 1 / 512 };
    const next = kernels.momentumStep(parameter, tf.clone(gradient!), velocity, step);
    return { full: { ...next } };
  });

  test(`${name}, ${precision}: casts round to the nearest, ties to even, and keep what is not finite`, (t) => {
    const step = 2 * unit;
    const given = [1, 1 + 0.4 * step, 1 + 0.5 * step, 1 + 1.5 * step, -1 - 0.6 * step, Infinity, -Infinity, NaN, 0];
    const expected = [1, 1, 1, 1 + 2 * step, -1 - step, Infinity, -Infinity, NaN, 0];
    const x = tf.tensor1d(given);
    const stored = kernels.cast(x, precision);
    const read = kernels.cast(stored, 'fp32');
    assertClose(t, read.dataSync(), expected, {});
    tf.dispose([x, stored, read]);
  });

  test(`${name}, ${precision}: the largest magnitude`, (t) => {
    for (const [values, nonNegative, largest] of [
      [[1, -3.5, 2, 0.25], false, 3.5],
      [[1, 0, 2, 0.25], true, 2],
    ] as const) {
      const x = tf.tensor2d([...values], [2, 2]);
      const stored = kernels.cast(x, precision);
      t.is(kernels.largestMagnitude(stored, nonNegative), largest);
      tf.dispose([x, stored]);
    }
  });

  test(`${name}, ${precision}: an overflow is seen`, (t) => {
    const all = (last: number): boolean => storedFinite(kernels, tf.tensor1d([1, 2, last]), precision);
    t.true(all(3));
    t.false(all(Infinity));
    t.false(all(NaN));
    // Beyond the largest number of 5 exponent bits.
    t.is(all(1e5), precision === 'bf16');
  });
}

function storedFinite(kernels: Kernels, x: Tensor, precision: Precision): boolean {
  const stored = kernels.cast(x, precision);
  const finite = kernels.allFinite([stored]);
  stored.dispose();
  x.dispose();
  return finite;
}
