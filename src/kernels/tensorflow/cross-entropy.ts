import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels.js';
import type { Operations } from './operations.js';

/** Cross-entropy with an ignored label; SparseSoftmaxCrossEntropyWithLogits gives loss and gradient in one pass. */
export function crossEntropyKernels(operations: Operations): Pick<Kernels, 'crossEntropy'> {
  const { tf } = operations.engine;

  function crossEntropy(logits: Tensor4D, labels: Tensor3D, ignoreIndex: number) {
    const [images, height, width, classes] = logits.shape;
    const pixels = images * height * width;
    const scope = tf.tidy(() => {
      const flatLabels = tf.reshape(labels, [pixels]) as Tensor1D;
      const counted = tf.notEqual(flatLabels, tf.scalar(ignoreIndex, 'int32'));
      const weights = tf.cast(counted, 'float32');
      const safeLabels = tf.mul(flatLabels, tf.cast(counted, 'int32'));
      const flatLogits = tf.reshape(logits, [pixels, classes]) as Tensor2D;
      const [losses, raw] = operations.runMany(
        'SparseSoftmaxCrossEntropyWithLogits',
        [operations.type('T'), operations.type('Tlabels', 'int32')],
        [flatLogits, safeLabels],
        2,
      ) as [Tensor1D, Tensor2D];
      const scale = tf.reshape(tf.div(weights, pixels), [pixels, 1]);
      const gradient: Tensor2D = operations.run('Mul', [operations.type('T')], [raw, scale]);
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
