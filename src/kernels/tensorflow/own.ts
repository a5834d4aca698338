import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Activation, BatchNormStatistics, Kernels, MomentumStep, Normalisation } from '../kernels.js';
import type { Operations } from './operations.js';

/** Kernels by the operations that this package adds to TensorFlow on CPUs (src/engines/native/operations). */
export function ownKernels(
  operations: Operations,
): Pick<Kernels, 'batchNorm' | 'batchNormApply' | 'batchNormGradient' | 'momentumStep'> {
  const { tf } = operations.engine;

  function attributes(epsilon: number, relu: boolean) {
    return [operations.type('T'), operations.float('epsilon', epsilon), operations.attribute('relu', relu)];
  }

  /** Runs `body` with the residual, or with an empty tensor where there is none. */
  function withResidual<R>(residual: Tensor4D | undefined, body: (residual: Tensor) => R): R {
    if (residual !== undefined) return body(residual);
    const none = tf.tensor1d([], 'float32');
    const result = body(none);
    none.dispose();
    return result;
  }

  function batchNorm(x: Tensor4D, { gamma, beta, epsilon }: Normalisation, { relu, residual }: Activation) {
    const [y, mean, variance] = withResidual(residual, (added) =>
      operations.runMany('FcnBatchNorm', attributes(epsilon, relu), [x, gamma, beta, added], 3),
    );
    return { y: y as Tensor4D, statistics: { mean: mean as Tensor1D, variance: variance as Tensor1D } };
  }

  function batchNormApply(
    x: Tensor4D,
    { gamma, beta, epsilon }: Normalisation,
    { mean, variance }: BatchNormStatistics,
    { relu, residual }: Activation,
  ): Tensor4D {
    return withResidual(residual, (added) =>
      operations.run('FcnBatchNormApply', attributes(epsilon, relu), [x, gamma, beta, added, mean, variance]),
    );
  }

  function batchNormGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    { gamma, beta, epsilon }: Normalisation,
    { mean, variance }: BatchNormStatistics,
    y: Tensor4D | null,
  ) {
    // Where the ReLU cut is computed again from x, which is read anyway: y need not be.
    const [dx, dgamma, dbeta] = operations.runMany(
      'FcnBatchNormGradient',
      attributes(epsilon, y !== null),
      [gradient, x, gamma, beta, mean, variance],
      3,
    );
    return { x: dx as Tensor4D, gamma: dgamma as Tensor1D, beta: dbeta as Tensor1D };
  }

  function momentumStep<T extends Tensor>(
    parameter: T,
    gradient: T,
    velocity: T,
    { learningRate, momentum, weightDecay }: MomentumStep,
  ) {
    const settings = tf.tensor1d([learningRate, momentum, weightDecay]);
    operations.runMany('FcnMomentumStep', [], [parameter, gradient, velocity, settings], 0);
    // The same memory, written in place, under a new name.
    const result = { parameter: tf.clone(parameter), velocity: tf.clone(velocity) };
    for (const tensor of [settings, gradient, parameter, velocity]) tensor.dispose();
    return result;
  }

  return { batchNorm, batchNormApply, batchNormGradient, momentumStep };
}
