import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import { type Activation, type BatchNormKernels, thenDispose } from '../kernels.js';
import { runningStatistics } from '../portable/pointwise.js';
import type { Operations } from './operations.js';

/** Batch norm by TensorFlow's own FusedBatchNormV3 and FusedBatchNormGradV3: for GPUs. */
export function fusedBatchNormKernels(operations: Operations): BatchNormKernels {
  const { tf, device } = operations.engine;
  return {
    batchNorm(x, { gamma, beta, epsilon }, activation) {
      const none = tf.tensor1d([], 'float32');
      const attributes = fusedAttributes(operations, x, epsilon, true);
      const inputs = [x, gamma, beta, none, none];
      const [y, mean, unbiased, ...reserved] = operations.runMany('FusedBatchNormV3', attributes, inputs, 6);
      // Output 2 is the unbiased variance on every device; the reserved outputs differ between CPU and GPU.
      const count = x.shape[0] * x.shape[1] * x.shape[2];
      const variance: Tensor1D = tf.mul(unbiased!, (count - 1) / count);
      tf.dispose([none, unbiased!, ...reserved]);
      return { y: activate(operations, y as Tensor4D, activation), statistics: { mean: mean as Tensor1D, variance } };
    },

    batchNormApply(x, { gamma, beta, epsilon }, { mean, variance }, activation) {
      const attributes = fusedAttributes(operations, x, epsilon, false);
      const inputs = [x, gamma, beta, mean, variance];
      const [y, ...rest] = operations.runMany('FusedBatchNormV3', attributes, inputs, 6);
      tf.dispose(rest);
      return activate(operations, y as Tensor4D, activation);
    },

    runningStatistics: runningStatistics(tf),

    batchNormGradient(gradient, x, { gamma, epsilon }, { mean, variance }, y) {
      const masked: Tensor4D = y === null ? gradient : operations.elementwise('ReluGrad', gradient, y);
      // The CPU operation takes the biased variance here, cuDNN the inverse standard deviation.
      const spread = device === 'cpu' ? variance : tf.tidy(() => tf.rsqrt(tf.add(variance, epsilon)));
      const none = tf.tensor1d([], 'float32');
      const attributes = fusedAttributes(operations, x, epsilon, true);
      const inputs = [masked, x, gamma, mean, spread, none];
      const [dx, dgamma, dbeta, ...rest] = operations.runMany('FusedBatchNormGradV3', attributes, inputs, 5);
      if (masked !== gradient) masked.dispose();
      if (spread !== variance) spread.dispose();
      tf.dispose([none, ...rest]);
      return { x: dx as Tensor4D, gamma: dgamma as Tensor1D, beta: dbeta as Tensor1D };
    },
  };
}

function fusedAttributes(operations: Operations, x: Tensor4D, epsilon: number, training: boolean) {
  return [
    operations.typeOf(x),
    operations.type('U'),
    operations.float('epsilon', epsilon),
    operations.attribute('data_format', 'NHWC'),
    operations.attribute('is_training', training),
  ];
}

/** Takes ownership of `y`. */
function activate(operations: Operations, y: Tensor4D, { relu, residual }: Activation): Tensor4D {
  const sum = residual === undefined ? y : thenDispose(operations.elementwise<Tensor4D>('AddV2', y, residual), y);
  return relu ? thenDispose(operations.elementwise<Tensor4D>('Relu', sum), sum) : sum;
}
