import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine } from '../engines/engine.js';
import { NonFiniteOutputError } from '../network/overflow.js';

/**
 * What logits may be multiplied with before they leave float32. Resizes take differences of two and averages over windows sums of
 * as many as overlap, so finite logits alone would not do.
 */
const ROOM = 2 ** 27;

/** @throws NonFiniteOutputError where one of the logits, [1, h, w, classes], is not finite, or beyond 2^101. */
export async function requireFinite({ tf }: Engine, logits: Tensor4D): Promise<void> {
  // Zero times what is not finite is NaN; no finite value overflows on the way.
  const sum = tf.tidy(() => tf.sum(tf.mul(tf.mul(logits, ROOM), 0)));
  const [value] = await sum.data();
  sum.dispose();
  if (value === 0) return;
  const areFinite = (await logits.data()).every(Number.isFinite);
  throw new NonFiniteOutputError(
    'The logits',
    null,
    areFinite ? 'are beyond what sums and averages can hold' : 'are not all finite',
  );
}
