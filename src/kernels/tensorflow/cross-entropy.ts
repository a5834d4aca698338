import type { Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import { type CrossEntropyKernels, thenDispose } from '../kernels.js';
import type { Operations } from './operations.js';

/**
 * Cross-entropy with an ignored label; SparseSoftmaxCrossEntropyWithLogits gives loss and gradient in one pass.
 * @param deterministic Without that operation: on GPUs its sums have no fixed order, so TensorFlow's deterministic mode refuses it.
 */
export function tensorflowCrossEntropyKernels(operations: Operations, deterministic: boolean): CrossEntropyKernels {
  const { tf } = operations.engine;
  const lossAndGradient = deterministic ? deterministicLossAndGradient : fusedLossAndGradient;
  return {
    crossEntropy(logits, labels, ignoreIndex) {
      const [images, height, width, classes] = logits.shape;
      const pixels = images * height * width;
      return tf.tidy(() => {
        const flatLabels: Tensor1D = tf.reshape(labels, [pixels]);
        const counted = tf.notEqual(flatLabels, tf.scalar(ignoreIndex, 'int32'));
        const weights = tf.cast(counted, 'float32');
        const safeLabels: Tensor1D = tf.mul(flatLabels, tf.cast(counted, 'int32'));
        const flatLogits: Tensor2D = tf.reshape(logits, [pixels, classes]);
        const [losses, raw] = lossAndGradient(operations, flatLogits, safeLabels);
        const scale = tf.reshape(tf.div(weights, pixels), [pixels, 1]);
        const gradient = thenDispose(operations.elementwise<Tensor2D>('Mul', raw, scale), raw);
        const loss = tf.div(tf.sum(tf.mul(losses, weights)), pixels);
        const hits = tf.logicalAnd(tf.equal(tf.argMax(flatLogits, 1), flatLabels), counted);
        const correct = tf.sum(tf.cast(hits, 'float32'));
        return { loss, correct, gradient: tf.reshape(gradient, logits.shape) as Tensor4D };
      });
    },
  };
}

/** Loss [pixels] and gradient [pixels, classes] of each pixel, in one pass. */
function fusedLossAndGradient(operations: Operations, logits: Tensor2D, labels: Tensor1D): [Tensor1D, Tensor2D] {
  const attributes = [operations.type('T'), operations.type('Tlabels', 'int32')];
  const name = 'SparseSoftmaxCrossEntropyWithLogits';
  return operations.runMany(name, attributes, [logits, labels], 2) as [Tensor1D, Tensor2D];
}

/**
 * The same from operations that are deterministic on GPUs: with p = softmax(z), the gradient is p − onehot(label), the loss
 * log Σ exp z − z_label, where log Σ exp z = max z − log max p. Call it inside a tidy.
 */
function deterministicLossAndGradient(
  operations: Operations,
  logits: Tensor2D,
  labels: Tensor1D,
): [Tensor1D, Tensor2D] {
  const { tf } = operations.engine;
  const probabilities: Tensor2D = operations.elementwise('Softmax', logits);
  const oneHot: Tensor2D = operations.run(
    'OneHot',
    [operations.type('T'), operations.type('TI', 'int32'), operations.attribute('axis', -1)],
    [labels, tf.scalar(logits.shape[1], 'int32'), tf.scalar(1), tf.scalar(0)],
  );
  const kept: Tensor2D = operations.elementwise('Mul', logits, oneHot);
  const labelled = thenDispose(tf.sum(kept, 1), kept);
  const losses: Tensor1D = tf.sub(tf.sub(tf.max(logits, 1), labelled), tf.log(tf.max(probabilities, 1)));
  const gradient: Tensor2D = operations.elementwise('Sub', probabilities, oneHot);
  return thenDispose([losses, gradient], probabilities, oneHot);
}
