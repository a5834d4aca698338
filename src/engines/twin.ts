import type * as tfjs from '@tensorflow/tfjs-core';

/** Ends when the twin that was asked for last has done its work. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs `work` while TensorFlow.js's backend is another one, which is made for it alone and has the kernels of the present one.
 * Tensors of the present backend stay as they are, and may not be used meanwhile. Twins that are asked for at once work one
 * after the other.
 */
export function withTwinBackend<R>(
  tf: typeof tfjs,
  makeBackend: () => tfjs.KernelBackend,
  work: () => Promise<R>,
): Promise<R> {
  const result = last.then(() => alone(tf, makeBackend, work));
  last = result.catch(() => undefined);
  return result;
}

async function alone<R>(tf: typeof tfjs, makeBackend: () => tfjs.KernelBackend, work: () => Promise<R>): Promise<R> {
  const present = tf.getBackend();
  const twin = `${present}-shapes`;
  tf.copyRegisteredKernels(present, twin);
  tf.registerBackend(twin, makeBackend);
  try {
    await tf.setBackend(twin);
    return await work();
  } finally {
    await tf.setBackend(present);
    tf.removeBackend(twin);
    for (const { kernelName } of tf.getKernelsForBackend(twin)) tf.unregisterKernel(kernelName, twin);
  }
}
