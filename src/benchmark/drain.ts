import type { Engine } from '../engines/engine.js';

/**
 * Waits until the device has done everything that was asked of it. A GPU's operations run in order, so the result of one
 * that is asked for last is there when all are done; on a CPU operations are done when they return.
 */
export function drain(engine: Engine): void {
  const { tf } = engine;
  tf.tidy(() => tf.add(tf.scalar(0), 1).dataSync());
}
