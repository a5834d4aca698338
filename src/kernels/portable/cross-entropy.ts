import type { Scalar, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels.js';
import type { TensorFlow } from './window.js';

/** Cross-entropy with an ignored label. Labels other than it are expected in [0, classes); readers of data check that. */
export function crossEntropyKernels(tf: TensorFlow): Pick<Kernels, 'crossEntropy'> {
  /**
   * With p = softmax(z): the loss is log Σ exp z − z_label, where log Σ exp z = max z − log max p (the largest p is
   * exp 0 / Σ exp(z − max z)). So no exponentials but softmax's are needed, and no logarithm of a p that underflowed.
   * The gradient of the loss is p − onehot(label).
   */
  function crossEntropy(logits: Tensor4D, labels: Tensor3D, ignoreIndex: number) {
    const [images, height, width, classes] = logits.shape;
    const pixels = images * height * width;
    return tf.tidy(() => {
      const counted = tf.notEqual<Tensor3D>(labels, tf.scalar(ignoreIndex, 'int32'));
      const mask = tf.cast(counted, 'float32');
      // Ignored labels may lie outside the classes, where what one-hot does depends on the backend.
      const safeLabels = tf.mul(labels, tf.cast(counted, 'int32'));
      // Made as int32 and cast, as the WebAssembly backend writes integers into a float32 one-hot.
      const oneHot = tf.tidy(() => tf.cast(tf.oneHot(safeLabels, classes), 'float32')) as Tensor4D;
      const probabilities = tf.softmax(logits);

      const loss = tf.tidy(() => {
        const labelled = tf.sum(tf.mul(logits, oneHot), 3);
        const largest = tf.sub(tf.max(logits, 3), labelled);
        const losses = tf.mul(tf.sub(largest, tf.log(tf.max(probabilities, 3))), mask);
        // Row by row: a float32 sum of as many as a batch's pixels would lose digits.
        return tf.mean(tf.mean(losses, 2)) as Scalar;
      });
      const difference: Tensor4D = tf.sub(probabilities, oneHot);
      oneHot.dispose();
      probabilities.dispose();
      const weights = tf.reshape(tf.div(mask, pixels), [images, height, width, 1]);
      const gradient = tf.mul<Tensor4D>(difference, weights);

      const hits = tf.logicalAnd(tf.equal(tf.argMax(logits, 3), labels), counted);
      const correct: Scalar = tf.sum(tf.cast(hits, 'int32'));
      return { loss, correct, gradient };
    });
  }

  return { crossEntropy };
}
