import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { BatchNormStatistics, Kernels } from '../kernels.js';
import type { Operations } from './operations.js';

/** Batch norm by FusedBatchNormV3 and FusedBatchNormGradV3: one pass each instead of a dozen full-size temporaries. */
export function batchNormKernels(
  operations: Operations,
): Pick<Kernels, 'batchNorm' | 'batchNormApply' | 'batchNormGradient'> {
  const { tf, device } = operations.engine;

  function attributes(epsilon: number, training: boolean) {
    return [
      operations.type('T'),
      operations.type('U'),
      operations.float('epsilon', epsilon),
      operations.attribute('data_format', 'NHWC'),
      operations.attribute('is_training', training),
    ];
  }

  function batchNorm(x: Tensor4D, gamma: Tensor1D, beta: Tensor1D, epsilon: number) {
    const none = tf.tensor1d([], 'float32');
    const [y, mean, unbiased, ...reserved] = operations.runMany(
      'FusedBatchNormV3',
      attributes(epsilon, true),
      [x, gamma, beta, none, none],
      6,
    );
    // Output 2 is the unbiased variance, on every device; what the reserved outputs hold differs between CPU and GPU.
    const count = x.shape[0] * x.shape[1] * x.shape[2];
    const variance = tf.mul(unbiased!, (count - 1) / count) as Tensor1D;
    for (const tensor of [none, unbiased!, ...reserved]) tensor.dispose();
    return { y: y as Tensor4D, statistics: { mean: mean as Tensor1D, variance } };
  }

  function batchNormApply(
    x: Tensor4D,
    gamma: Tensor1D,
    beta: Tensor1D,
    { mean, variance }: BatchNormStatistics,
    epsilon: number,
  ): Tensor4D {
    const [y, ...rest] = operations.runMany(
      'FusedBatchNormV3',
      attributes(epsilon, false),
      [x, gamma, beta, mean, variance],
      6,
    );
    for (const tensor of rest) tensor.dispose();
    return y as Tensor4D;
  }

  function batchNormGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    gamma: Tensor1D,
    { mean, variance }: BatchNormStatistics,
    epsilon: number,
  ) {
    // The CPU operation takes the biased variance here, cuDNN the inverse standard deviation.
    const spread = device === 'cpu' ? variance : tf.tidy(() => tf.rsqrt(tf.add(variance, epsilon)));
    const none = tf.tensor1d([], 'float32');
    const [dx, dgamma, dbeta, ...rest] = operations.runMany(
      'FusedBatchNormGradV3',
      attributes(epsilon, true),
      [gradient, x, gamma, mean, spread, none],
      5,
    );
    if (spread !== variance) spread.dispose();
    for (const tensor of [none, ...rest]) tensor.dispose();
    return { x: dx as Tensor4D, gamma: dgamma as Tensor1D, beta: dbeta as Tensor1D };
  }

  return { batchNorm, batchNormApply, batchNormGradient };
}
