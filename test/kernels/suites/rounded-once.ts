import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import test, { type ExecutionContext } from 'ava';
import { assertClose, dot, finiteDifferences, normals, type Tolerance } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import type { Subject } from './subject.js';

/**
 * Float16 has 10 bits after the first from 2^-14 on, so rounding a number to the nearest changes it by 2^-11 of itself at most; below,
 * by half of the smallest number, 2^-25.
 */
const ROUNDING = { relative: 2 ** -11, absolute: 2 ** -25 } as const;
/** What sums in float32 may be off by: as in the suites of float32. */
const SUM = { ofLargest: 2e-6 } as const;
const EPSILON = 1e-5;

/** Convolutions whose values are loaded four at a time and one at a time, of each stride and dilation; filter gradients in several parts. */
const CONVOLUTIONS = [
  { kernel: 3, shape: [1, 18, 21, 4], outputs: 4, stride: 1, dilation: 1, padding: 1 },
  { kernel: 3, shape: [2, 7, 9, 3], outputs: 5, stride: 2, dilation: 1, padding: 1 },
  { kernel: 3, shape: [1, 9, 8, 8], outputs: 4, stride: 1, dilation: 2, padding: 2 },
  { kernel: 1, shape: [2, 6, 5, 8], outputs: 12, stride: 2, dilation: 1, padding: 0 },
] as const;

/**
 * Declares tests that kernels on float16 images give what float64 gives of the same values, rounded to float16 once: so they sum in float32.
 * Gradients are compared with finite differences of float64.
 */
export function roundedOnceTests({ name, tf, kernels }: Subject): void {
  /** An image in float16, and its values. */
  function image(seed: number, shape: reference.Shape4): { readonly stored: Tensor4D; readonly values: Float32Array } {
    const drawn = tf.tensor4d(normals(seed, reference.size(shape)), [...shape]);
    const stored = kernels.cast(drawn, 'fp16');
    drawn.dispose();
    return { stored, values: read(stored, false) };
  }

  function read(stored: Tensor4D, dispose = true): Float32Array {
    const full = kernels.cast(stored, 'fp32');
    const values = full.dataSync<'float32'>().slice();
    tf.dispose(dispose ? [full, stored] : [full]);
    return values;
  }

  /** Declares a test that also counts tensors. */
  function declare(title: string, body: (t: ExecutionContext) => void): void {
    test(`${name}, fp16, rounded once: ${title}`, (t) => {
      const before = tf.memory().numTensors;
      body(t);
      t.is(tf.memory().numTensors, before, 'tensors left');
    });
  }

  function compare(t: ExecutionContext, what: string, actual: Tensor4D, expected: ArrayLike<number>, sum: Tolerance) {
    assertClose(t, read(actual), expected, { ...ROUNDING, ...sum }, what);
  }

  for (const { kernel, shape, outputs, ...geometry } of CONVOLUTIONS) {
    const { stride, dilation } = geometry;
    declare(`${kernel}×${kernel} convolution, stride ${stride}, dilation ${dilation}, and its gradients`, (t) => {
      const filterShape = [kernel, kernel, shape[3], outputs] as const;
      const yShape = reference.convolutionShape(shape, filterShape, geometry);
      const [x, gradient, residual] = [image(1, shape), image(2, yShape), image(3, yShape)];
      // A parameter is float32. Its values are rounded to float16 for the convolution.
      const parameter = tf.tensor4d(normals(4, reference.size(filterShape)), [...filterShape]);
      const filter = read(kernels.cast(parameter, 'fp16'));
      const bias = tf.tensor1d(normals(5, outputs)) as Tensor1D;
      const forward = (at: ArrayLike<number>, of: ArrayLike<number>) =>
        reference.convolution(at, shape, of, filterShape, geometry);

      const y = forward(x.values, filter);
      compare(t, 'y', kernels.convolution(x.stored, parameter, geometry), y, SUM);
      const biases = bias.dataSync();
      const activated = y.map((value, i) => Math.max(value + biases[i % outputs]! + residual.values[i]!, 0));
      const withBias = kernels.convolutionBias(x.stored, parameter, bias, geometry, true, residual.stored);
      compare(t, 'with bias, residual and ReLU', withBias, activated, SUM);
      const dx = kernels.convolutionInputGradient(gradient.stored, parameter, shape, geometry);
      const ofX = (at: Float64Array) => dot(gradient.values, forward(at, filter));
      compare(t, 'input gradient', dx, finiteDifferences(ofX, x.values, 1), SUM);
      const dw = kernels.convolutionFilterGradient(gradient.stored, x.stored, filterShape, geometry);
      const ofFilter = (at: Float64Array) => dot(gradient.values, forward(x.values, at));
      compare(t, 'filter gradient', dw, finiteDifferences(ofFilter, filter, 1), SUM);
      tf.dispose([x.stored, gradient.stored, residual.stored, parameter, bias]);
    });
  }

  for (const channels of [4, 3]) {
    declare(`batch norm of ${channels} channels with ReLU and residual, and its gradient`, (t) => {
      const shape = [2, 5, 6, channels] as const;
      const [x, residual, gradient] = [image(6, shape), image(7, shape), image(8, shape)];
      const [gammas, betas] = [normals(9, channels, 1, 0.3), normals(10, channels)];
      const normalisation = { gamma: tf.tensor1d(gammas), beta: tf.tensor1d(betas), epsilon: EPSILON };
      const forward = (at: ArrayLike<number>) =>
        reference.batchNorm(at, gammas, betas, EPSILON).map((value, i) => value + residual.values[i]!);

      const activation = { relu: true, residual: residual.stored };
      const { y, statistics } = kernels.batchNorm(x.stored, normalisation, activation);
      const sums = forward(x.values);
      const result = kernels.batchNormGradient(gradient.stored, x.stored, normalisation, statistics, y);
      compare(
        t,
        'y',
        y,
        sums.map((value) => Math.max(value, 0)),
        SUM,
      );
      const passed = gradient.values.map((value, i) => (sums[i]! > 0 ? value : 0));
      const ofX = (at: Float64Array) => dot(passed, forward(at));
      // Finite differences of what is not linear are off by 1e-8.
      compare(t, 'x gradient', result.x, finiteDifferences(ofX, x.values, 1e-4), { ofLargest: 4e-6 });
      const ofGamma = (at: Float64Array) => dot(passed, reference.batchNorm(x.values, at, betas, EPSILON));
      assertClose(t, result.gamma.dataSync(), finiteDifferences(ofGamma, gammas, 1), SUM, 'γ gradient');
      const ofBeta = (at: Float64Array) => dot(passed, reference.batchNorm(x.values, gammas, at, EPSILON));
      assertClose(t, result.beta.dataSync(), finiteDifferences(ofBeta, betas, 1), SUM, 'β gradient');
      const { gamma, beta } = normalisation;
      tf.dispose([x.stored, residual.stored, gradient.stored, gamma, beta, statistics.mean, statistics.variance]);
      tf.dispose([result.gamma, result.beta]);
    });
  }

  declare('max pool and its gradient', (t) => {
    const shape = [2, 9, 8, 3] as const;
    const x = image(11, shape);
    const gradient = image(12, reference.poolShape(shape));
    const y = kernels.maxPool(x.stored);
    const dx = kernels.maxPoolGradient(gradient.stored, x.stored, y);
    const expected = reference.maxPoolGradient(gradient.values, x.values, shape);
    compare(t, 'gradient', dx, expected, { ofLargest: 1e-7 });
    assertClose(t, read(y), reference.maxPool(x.values, shape), {}, 'y');
    tf.dispose([x.stored, gradient.stored]);
  });

  declare('sums of two and three', (t) => {
    const shape = [1, 5, 7, 3] as const;
    const [a, b, y] = [image(13, shape), image(14, shape), image(15, shape)];
    const exact = a.values.map((value, i) => value + b.values[i]!);
    compare(t, 'addition', kernels.add(a.stored, b.stored), exact, {});
    const passed = exact.map((value, i) => (y.values[i]! > 0 ? value : 0));
    compare(t, 'gradient of a ReLU', kernels.reluGradient([a.stored, b.stored], y.stored), passed, {});
    y.stored.dispose();
  });
}
