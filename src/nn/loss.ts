import type { Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { TrainingPass } from './pass.js';
import type { Value } from './tape.js';

export interface HeadLoss {
  /** Mean over all pixels, ignored ones counting as 0, times the head's weight. */
  readonly loss: number;
  /** Percent of all pixels, ignored ones in the denominator. */
  readonly accuracy: number;
}

/**
 * Cross-entropy of a head's logits, resized to the labels' size. Adds the logits' gradient to `logits` at once, so that
 * nothing of the full size outlives this call.
 * @param labels [N,H,W] int32.
 */
export function headLoss(
  { tf, kernels, precision, lossScale }: TrainingPass,
  logits: Value,
  weight: number,
  { labels, ignoreIndex, alignCorners }: { labels: Tensor3D; ignoreIndex: number; alignCorners: boolean },
): HeadLoss {
  const [, height, width] = labels.shape;
  const resized = kernels.resizeBilinear(logits.tensor(), [height, width], alignCorners);
  const { loss, correct, gradient } = kernels.crossEntropy(resized, labels, ignoreIndex);
  resized.dispose();
  const inputGradient = kernels.resizeBilinearGradient(gradient, [logits.shape[1], logits.shape[2]], alignCorners);
  gradient.dispose();
  const scaled: Tensor4D = tf.mul(inputGradient, weight * lossScale);
  inputGradient.dispose();
  logits.addGradient(kernels.cast(scaled, precision));
  scaled.dispose();
  const result = { loss: weight * loss.dataSync()[0]!, accuracy: (100 * correct.dataSync()[0]!) / labels.size };
  loss.dispose();
  correct.dispose();
  return result;
}
