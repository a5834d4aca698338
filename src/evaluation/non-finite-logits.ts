import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine } from '../engines/engine.js';
import { ExitCode, UserError } from '../support/errors.js';

/** Logits that are not finite have no largest class, though argmax would name one. Exit code 3. */
export class NonFiniteLogitsError extends UserError {
  override readonly name = 'NonFiniteLogitsError';
  override readonly exitCode = ExitCode.diverged;

  /** @param image Its name; null where it is not known. */
  constructor(image: string | null = null) {
    super(
      `The network's logits${image === null ? '' : ` of ${image}`} are not finite: its weights are, but what is computed with them overflows.`,
      'Use weights of a training that did not diverge, or train with a lower learning rate (--set learningRate=…).',
    );
  }
}

/** @throws NonFiniteLogitsError where one of the logits, [1, h, w, classes], is not finite. */
export async function requireFinite({ tf }: Engine, logits: Tensor4D): Promise<void> {
  // Zero times what is not finite is NaN; no finite value overflows on the way.
  const sum = tf.tidy(() => tf.sum(tf.mul(logits, 0)));
  const [value] = await sum.data();
  sum.dispose();
  if (value !== 0) throw new NonFiniteLogitsError();
}
