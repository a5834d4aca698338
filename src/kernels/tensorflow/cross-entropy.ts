import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels.js';
import type { Operations } from './operations.js';

/**
 * Cross-entropy with an ignored label; SparseSoftmaxCrossEntropyWithLogits gives loss and gradient in one pass.
 * @param deterministic Without that operation: on GPUs it sums in no fixed order, and fails where that is not allowed.
 */
export function crossEntropyKernels(operations: Operations, deterministic: boolean): Pick<Kernels, 'crossEntropy'> {
  const { tf } = operations.engine;
  const type = [operations.type('T')];

  /** Loss [pixels] and gradient [pixels, classes] of each pixel, in one pass. */
  function fused(logits: Tensor2D, labels: Tensor1D): [Tensor1D, Tensor2D] {
    const attributes = [operations.type('T'), operations.type('Tlabels', 'int32')];
    return operations.runMany('SparseSoftmaxCrossEntropyWithLogits', attributes, [logits, labels], 2) as [
      Tensor1D,
      Tensor2D,
    ];
  }

  /**
   * The same of operations that are deterministic on GPUs: with p = softmax(z), the gradient is p − onehot(label), the loss
   * log Σ exp z − z_label, where log Σ exp z = max z − log max p. To be called inside a tidy.
   */
  function composed(logits: Tensor2D, labels: Tensor1D): [Tensor1D, Tensor2D] {
    const probabilities: Tensor2D = operations.run('Softmax', type, [logits]);
    const oneHot: Tensor2D = operations.run(
      'OneHot',
      [operations.type('T'), operations.type('TI', 'int32'), operations.attribute('axis', -1)],
      [labels, tf.scalar(logits.shape[1], 'int32'), tf.scalar(1), tf.scalar(0)],
    );
    const kept: Tensor2D = operations.run('Mul', type, [logits, oneHot]);
    const labelled = tf.sum(kept, 1);
    kept.dispose();
    const losses: Tensor1D = tf.sub(tf.sub(tf.max(logits, 1), labelled), tf.log(tf.max(probabilities, 1)));
    const gradient: Tensor2D = operations.run('Sub', type, [probabilities, oneHot]);
    for (const tensor of [probabilities, oneHot]) tensor.dispose();
    return [losses, gradient];
  }

  function crossEntropy(logits: Tensor4D, labels: Tensor3D, ignoreIndex: number) {
    const [images, height, width, classes] = logits.shape;
    const pixels = images * height * width;
    const scope = tf.tidy(() => {
      const flatLabels = tf.reshape(labels, [pixels]) as Tensor1D;
      const counted = tf.notEqual(flatLabels, tf.scalar(ignoreIndex, 'int32'));
      const weights = tf.cast(counted, 'float32');
      const safeLabels = tf.mul(flatLabels, tf.cast(counted, 'int32')) as Tensor1D;
      const flatLogits = tf.reshape(logits, [pixels, classes]) as Tensor2D;
      const [losses, raw] = (deterministic ? composed : fused)(flatLogits, safeLabels);
      const scale = tf.reshape(tf.div(weights, pixels), [pixels, 1]);
      const gradient: Tensor2D = operations.run('Mul', type, [raw, scale]);
      raw.dispose();
      const loss = tf.div(tf.sum(tf.mul(losses, weights)), pixels);
      const hits = tf.logicalAnd(tf.equal(tf.argMax(flatLogits, 1), flatLabels), counted);
      const correct = tf.sum(tf.cast(hits, 'float32'));
      return { loss, correct, gradient: tf.reshape(gradient, logits.shape) as Tensor4D };
    });
    return scope as { loss: Tensor; correct: Tensor; gradient: Tensor4D };
  }

  return { crossEntropy };
}
