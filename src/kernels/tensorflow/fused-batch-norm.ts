import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Activation, BatchNormStatistics, Kernels, Normalisation } from '../kernels.js';
import type { Operations } from './operations.js';

/** Batch norm by TensorFlow's own FusedBatchNormV3 and FusedBatchNormGradV3: for GPUs. */
export function fusedBatchNormKernels(
  operations: Operations,
): Pick<Kernels, 'batchNorm' | 'batchNormApply' | 'batchNormGradient'> {
  const { tf, device } = operations.engine;

  function attributes(x: Tensor4D, epsilon: number, training: boolean) {
    return [
      operations.typeOf(x),
      operations.type('U'),
      operations.float('epsilon', epsilon),
      operations.attribute('data_format', 'NHWC'),
      operations.attribute('is_training', training),
    ];
  }

  /** Takes ownership of `y`. */
  function activate(y: Tensor4D, { relu, residual }: Activation): Tensor4D {
    let result = y;
    const replace = (next: Tensor4D) => {
      result.dispose();
      result = next;
    };
    if (residual !== undefined) replace(operations.run('AddV2', [operations.typeOf(result)], [result, residual]));
    if (relu) replace(operations.run('Relu', [operations.typeOf(result)], [result]));
    return result;
  }

  function batchNorm(x: Tensor4D, { gamma, beta, epsilon }: Normalisation, activation: Activation) {
    const none = tf.tensor1d([], 'float32');
    const [y, mean, unbiased, ...reserved] = operations.runMany(
      'FusedBatchNormV3',
      attributes(x, epsilon, true),
      [x, gamma, beta, none, none],
      6,
    );
    // Output 2 is the unbiased variance, on every device; what the reserved outputs hold differs between CPU and GPU.
    const count = x.shape[0] * x.shape[1] * x.shape[2];
    const variance = tf.mul(unbiased!, (count - 1) / count) as Tensor1D;
    for (const tensor of [none, unbiased!, ...reserved]) tensor.dispose();
    return { y: activate(y as Tensor4D, activation), statistics: { mean: mean as Tensor1D, variance } };
  }

  function batchNormApply(
    x: Tensor4D,
    { gamma, beta, epsilon }: Normalisation,
    { mean, variance }: BatchNormStatistics,
    activation: Activation,
  ): Tensor4D {
    const [y, ...rest] = operations.runMany(
      'FusedBatchNormV3',
      attributes(x, epsilon, false),
      [x, gamma, beta, mean, variance],
      6,
    );
    for (const tensor of rest) tensor.dispose();
    return activate(y as Tensor4D, activation);
  }

  function batchNormGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    { gamma, epsilon }: Normalisation,
    { mean, variance }: BatchNormStatistics,
    y: Tensor4D | null,
  ) {
    const masked: Tensor4D = y === null ? gradient : operations.run('ReluGrad', [operations.typeOf(y)], [gradient, y]);
    // The CPU operation takes the biased variance here, cuDNN the inverse standard deviation.
    const spread = device === 'cpu' ? variance : tf.tidy(() => tf.rsqrt(tf.add(variance, epsilon)));
    const none = tf.tensor1d([], 'float32');
    const [dx, dgamma, dbeta, ...rest] = operations.runMany(
      'FusedBatchNormGradV3',
      attributes(x, epsilon, true),
      [masked, x, gamma, mean, spread, none],
      5,
    );
    if (masked !== gradient) masked.dispose();
    if (spread !== variance) spread.dispose();
    for (const tensor of [none, ...rest]) tensor.dispose();
    return { x: dx as Tensor4D, gamma: dgamma as Tensor1D, beta: dbeta as Tensor1D };
  }

  return { batchNorm, batchNormApply, batchNormGradient };
}
