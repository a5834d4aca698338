import type { Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import { type Normalisation, thenDispose } from '../../../src/kernels/kernels.js';
import { assertClose, dot, finiteDifferences, normals } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import { execute, image, type Subject, shaped, vector } from './subject.js';

const EPSILON = 1e-5;

/** Shapes, and the mean and standard deviation of the values. The last shape has one value a channel: variance 0. */
const CASES = [
  { shape: [2, 6, 7, 3], mean: 0, deviation: 1 },
  { shape: [1, 5, 8, 4], mean: 0.5, deviation: 3 },
  { shape: [2, 8, 8, 2], mean: 100, deviation: 1 },
  { shape: [2, 5, 5, 2], mean: -30, deviation: 0.1 },
  { shape: [1, 4, 4, 2], mean: 1e-3, deviation: 1e-3 },
  { shape: [1, 1, 3, 3], mean: 0, deviation: 1 },
  { shape: [1, 1, 1, 3], mean: 2, deviation: 1 },
] as const;

export function batchNormTests(subject: Subject): void {
  const { kernels } = subject;

  for (const count of [1, 2, 4096]) {
    test(`${subject.name}: running statistics, ${count} values a channel`, (t) => {
      const [mean, variance] = [normals(1, 35), normals(2, 35).map(Math.abs)];
      const [runningMean, runningVariance] = [normals(3, 35), normals(4, 35).map(Math.abs)];
      const inputs = {
        mean: vector(mean),
        variance: vector(variance),
        runningMean: vector(runningMean),
        runningVariance: vector(runningVariance),
      };
      const next = execute(t, subject, inputs, (tensors) => {
        const [oldMean, oldVariance] = [
          subject.tf.clone(tensors.runningMean),
          subject.tf.clone(tensors.runningVariance),
        ];
        return { ...kernels.runningStatistics({ mean: oldMean, variance: oldVariance }, tensors, 0.1, count) };
      });
      const unbiased = count === 1 ? 1 : count / (count - 1);
      const blended = (old: ArrayLike<number>, batch: ArrayLike<number>, factor: number) =>
        Array.from(old, (value, c) => 0.9 * value + 0.1 * factor * batch[c]!);
      assertClose(t, next['mean']!, blended(runningMean, mean, 1), { ofLargest: 2e-7 });
      assertClose(t, next['variance']!, blended(runningVariance, variance, unbiased), { ofLargest: 2e-7 });
    });
  }

  for (const { shape, mean, deviation } of CASES) {
    test(`${subject.name}: batch norm of ${shape.join('×')}, mean ${mean}, deviation ${deviation}`, (t) => {
      const channels = shape[3];
      const x = normals(1, reference.size(shape), mean, deviation);
      // One γ is 0, as the last batch norm of a block starts when training from scratch.
      const gamma = normals(2, channels, 1, 0.5).map((value, c) => (c === 1 ? 0 : value));
      const beta = normals(3, channels);
      const gradient = normals(4, reference.size(shape));
      // The float32 mean is off by up to half a unit in its last place, seen in units of the deviation.
      const condition = 1 + Math.abs(mean) / deviation;
      // Measured: 0.3 of each of these at most, where the variance of one value or of a large mean counts most.
      const tolerance = { ofLargest: 4e-7 * condition, absolute: 2e-7 };
      const gammaTolerance = { ofLargest: 1e-6 * condition, absolute: 5e-7 };
      const againTolerance = { ofLargest: 2e-7 * condition, absolute: 1e-7 };
      const expected = reference.batchNorm(x, gamma, beta, EPSILON);
      const statistics = reference.channelStatistics(x, channels);
      const inputs = { x: image(x, shape), gamma: vector(gamma), beta: vector(beta) };

      const forward = execute(t, subject, inputs, (tensors) => {
        const { y, statistics } = kernels.batchNorm(tensors.x, { ...tensors, epsilon: EPSILON }, { relu: false });
        shaped(t, statistics.mean, [channels]);
        shaped(t, statistics.variance, [channels]);
        return { y: shaped(t, y, shape), mean: statistics.mean, variance: statistics.variance };
      });
      assertClose(t, forward.y, expected, tolerance, 'y');
      assertClose(t, forward.mean, statistics.mean, { ofLargest: 3.5e-7, absolute: 3.5e-7 * deviation }, 'mean');
      assertClose(t, forward.variance, statistics.variance, { ofLargest: 7e-7 * condition }, 'variance');

      const measured = { mean: vector(forward.mean), variance: vector(forward.variance) };
      const again = execute(t, subject, { ...inputs, ...measured }, ({ x, gamma, beta, ...statistics }) => ({
        y: shaped(t, kernels.batchNormApply(x, { gamma, beta, epsilon: EPSILON }, statistics, { relu: false }), shape),
      }));
      assertClose(t, again.y, forward.y, againTolerance, 'y from known statistics');

      const backward = execute(t, subject, { gradient: image(gradient, shape), ...inputs, ...measured }, (tensors) => {
        const normalisation = { ...tensors, epsilon: EPSILON };
        const result = kernels.batchNormGradient(tensors.gradient, tensors.x, normalisation, tensors, null);
        shaped(t, result.x, shape);
        shaped(t, result.gamma, [channels]);
        shaped(t, result.beta, [channels]);
        return { x: result.x, gamma: result.gamma, beta: result.beta };
      });
      const ofX = (at: Float64Array) => dot(gradient, reference.batchNorm(at, gamma, beta, EPSILON));
      const ofGamma = (at: Float64Array) => dot(gradient, reference.batchNorm(x, at, beta, EPSILON));
      const ofBeta = (at: Float64Array) => dot(gradient, reference.batchNorm(x, gamma, at, EPSILON));
      const dx = finiteDifferences(ofX, x, 1e-4 * deviation);
      assertClose(t, backward.x, dx, { ofLargest: 2e-6 * condition, absolute: 2e-6 / deviation }, 'x gradient');
      assertClose(t, backward.gamma, finiteDifferences(ofGamma, gamma, 1), gammaTolerance, 'γ gradient');
      assertClose(t, backward.beta, finiteDifferences(ofBeta, beta, 1), { ofLargest: 1e-6 }, 'β gradient');
    });
  }

  test(`${subject.name}: batch norm of shards is that of the whole batch, forward and backward`, (t) => {
    const shape = [3, 6, 7, 4] as const;
    const shardShape = [1, 6, 7, 4] as const;
    const size = reference.size(shardShape);
    const [x, gradient] = [normals(11, 3 * size, 2, 1.5), normals(12, 3 * size)];
    const vectors = { gamma: vector(normals(13, 4, 1, 0.5)), beta: vector(normals(14, 4)) };
    const whole = execute(
      t,
      subject,
      { x: image(x, shape), gradient: image(gradient, shape), ...vectors },
      (tensors) => {
        const normalisation = { ...tensors, epsilon: EPSILON };
        const { y, statistics } = kernels.batchNorm(tensors.x, normalisation, { relu: true });
        const back = kernels.batchNormGradient(tensors.gradient, tensors.x, normalisation, statistics, y);
        return { y, ...statistics, dx: back.x, dgamma: back.gamma, dbeta: back.beta };
      },
    );
    const part = (values: ArrayLike<number>, shard: number) =>
      Float64Array.from(values).slice(shard * size, (shard + 1) * size);
    const inputs = Object.fromEntries(
      [0, 1, 2].flatMap((shard) => [
        [`x${shard}`, image(part(x, shard), shardShape)],
        [`gradient${shard}`, image(part(gradient, shard), shardShape)],
      ]),
    );
    const sharded = execute(t, subject, { ...inputs, ...vectors }, (tensors) => {
      const normalisation = { gamma: tensors.gamma, beta: tensors.beta, epsilon: EPSILON };
      const xs = [0, 1, 2].map((shard) => (tensors as unknown as Record<string, Tensor4D>)[`x${shard}`]!);
      const gradients = [0, 1, 2].map((shard) => (tensors as unknown as Record<string, Tensor4D>)[`gradient${shard}`]!);
      const join = (parts: Tensor3D[]) => thenDispose(kernels.joinShards(parts), ...parts);
      const moments = join(xs.map((one) => kernels.batchNormMoments(one)));
      const forward = xs.map((one) => kernels.batchNormOfShards(one, normalisation, { relu: true }, moments));
      const sums = join(
        xs.map((one, i) =>
          kernels.batchNormGradientSums(gradients[i]!, one, normalisation, forward[i]!.statistics, forward[i]!.y),
        ),
      );
      const backward = xs.map((one, i) => {
        const { statistics, y } = forward[i]!;
        return kernels.batchNormGradientOfShards(gradients[i]!, one, normalisation, statistics, y, sums);
      });
      for (const tensor of [moments, sums]) tensor.dispose();
      return Object.fromEntries(
        [0, 1, 2].flatMap((i) => [
          [`y${i}`, forward[i]!.y],
          [`mean${i}`, forward[i]!.statistics.mean],
          [`variance${i}`, forward[i]!.statistics.variance],
          [`dx${i}`, backward[i]!.x],
          [`dgamma${i}`, backward[i]!.gamma],
          [`dbeta${i}`, backward[i]!.beta],
        ]),
      );
    });
    // Both sum in other orders: a few roundings of float32.
    const tolerance = { ofLargest: 1e-6, absolute: 1e-6 };
    for (const shard of [0, 1, 2]) {
      for (const name of ['y', 'dx'] as const)
        assertClose(t, sharded[`${name}${shard}`]!, part(whole[name], shard), tolerance, name);
      for (const name of ['mean', 'variance', 'dgamma', 'dbeta'] as const) {
        assertClose(t, sharded[`${name}${shard}`]!, whole[name], tolerance, name);
      }
    }
  });

  test(`${subject.name}: batch norm keeps its digits over many pixels`, (t) => {
    const shape = [2, 96, 128, 2] as const;
    const x = normals(5, reference.size(shape), 1, 1);
    const statistics = reference.channelStatistics(x, 2);
    const inputs = { x: image(x, shape), one: vector([1, 1]), zero: vector([0, 0]) };
    const { mean, variance } = execute(t, subject, inputs, (tensors) => {
      const normalisation: Normalisation = { gamma: tensors.one, beta: tensors.zero, epsilon: EPSILON };
      const { y, statistics } = kernels.batchNorm(tensors.x, normalisation, { relu: false });
      return { y, mean: statistics.mean, variance: statistics.variance };
    });
    // TensorFlow's own kernels sum 24,576 values in float32. Measured: 1.1e-6 and 2.5e-6.
    assertClose(t, mean, statistics.mean, { relative: 4e-6 }, 'mean');
    assertClose(t, variance, statistics.variance, { relative: 1e-5 }, 'variance');
  });

  test(`${subject.name}: batch norm with a residual and ReLU`, (t) => {
    const shape = [2, 5, 6, 7] as const;
    const x = normals(6, reference.size(shape), 0.2, 2);
    const gamma = normals(7, 7, 1, 0.5);
    const beta = normals(8, 7);
    const residual = normals(9, reference.size(shape));
    const normalised = reference.batchNorm(x, gamma, beta, EPSILON);
    const statistics = reference.channelStatistics(x, 7);
    const inputs = {
      x: image(x, shape),
      gamma: vector(gamma),
      beta: vector(beta),
      residual: image(residual, shape),
      mean: vector(statistics.mean),
      variance: vector(statistics.variance),
    };
    for (const relu of [false, true]) {
      for (const added of [false, true]) {
        const result = execute(t, subject, inputs, (tensors) => {
          const normalisation = { ...tensors, epsilon: EPSILON };
          const activation = { relu, residual: added ? tensors.residual : undefined };
          const { y, statistics } = kernels.batchNorm(tensors.x, normalisation, activation);
          const again = kernels.batchNormApply(tensors.x, normalisation, tensors, activation);
          return { y, again, mean: statistics.mean, variance: statistics.variance };
        });
        const expected = normalised.map((value, i) => {
          const sum = value + (added ? residual[i]! : 0);
          return relu ? Math.max(sum, 0) : sum;
        });
        const label = `residual ${added}, ReLU ${relu}`;
        // Measured: 1.4e-7.
        assertClose(t, result.y, expected, { ofLargest: 5e-7 }, label);
        assertClose(t, result.again, expected, { ofLargest: 5e-7 }, `${label}, again`);
      }
    }
  });

  test(`${subject.name}: gradient of batch norm through its ReLU`, (t) => {
    const shape = [2, 5, 6, 7] as const;
    const x = normals(10, reference.size(shape), -0.3, 2);
    const gamma = normals(11, 7, 1, 0.5);
    const beta = normals(12, 7);
    const gradient = normals(13, reference.size(shape));
    const activated = (at: ArrayLike<number>, scale: ArrayLike<number>, shift: ArrayLike<number>) =>
      reference.batchNorm(at, scale, shift, EPSILON).map((value) => Math.max(value, 0));
    const inputs = {
      x: image(x, shape),
      gamma: vector(gamma),
      beta: vector(beta),
      gradient: image(gradient, shape),
    };
    const result = execute(t, subject, inputs, (tensors) => {
      const normalisation = { ...tensors, epsilon: EPSILON };
      const { y, statistics } = kernels.batchNorm(tensors.x, normalisation, { relu: true });
      const { x, gamma, beta } = kernels.batchNormGradient(tensors.gradient, tensors.x, normalisation, statistics, y);
      return { y, ...statistics, x, gamma, beta };
    });
    const difference = (of: (at: Float64Array) => Float64Array, at: ArrayLike<number>) =>
      finiteDifferences((point) => dot(gradient, of(point)), at, 1e-6);
    // Measured: 1.6e-7.
    const tolerance = { ofLargest: 6e-7 };
    assertClose(
      t,
      result.x,
      difference((at) => activated(at, gamma, beta), x),
      tolerance,
      'x gradient',
    );
    assertClose(
      t,
      result.gamma,
      difference((at) => activated(x, at, beta), gamma),
      tolerance,
      'γ gradient',
    );
    assertClose(
      t,
      result.beta,
      difference((at) => activated(x, gamma, at), beta),
      tolerance,
      'β gradient',
    );
  });
}
