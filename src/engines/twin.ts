import type * as tfjs from '@tensorflow/tfjs-core';

/** Settles when the work of the most recent twin is done. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs `work` with a temporary backend of TensorFlow.js that has the kernels of the present one. Tensors of the present backend stay,
 * but must not be used meanwhile. Concurrent calls run one after the other.
 */
export function withTwinBackend<R>(
  tf: typeof tfjs,
  makeBackend: () => tfjs.KernelBackend,
  work: () => Promise<R>,
): Promise<R> {
  const result = last.then(() => withBackend(tf, makeBackend, work));
  last = result.catch(() => undefined);
  return result;
}

/**
 * TensorFlow.js's core for a twin: it makes tensors of given values, and zeros, from their shapes, so that nobody needs arrays of that
 * size.
 */
export function shapesCore(tf: typeof tfjs): typeof tfjs {
  const filled = (shape: number[], dtype: 'float32' | 'int32' = 'float32') => tf.fill(shape, 0, dtype);
  const made = {
    zeros: (shape: number[]) => filled(shape),
    tensor2d: (_values: unknown, shape: number[], dtype?: 'float32' | 'int32') => filled(shape, dtype),
    tensor3d: (_values: unknown, shape: number[], dtype?: 'float32' | 'int32') => filled(shape, dtype),
    tensor4d: (_values: unknown, shape: number[], dtype?: 'float32' | 'int32') => filled(shape, dtype),
  };
  return { ...tf, ...(made as unknown as Pick<typeof tfjs, 'zeros' | 'tensor2d' | 'tensor3d' | 'tensor4d'>) };
}

async function withBackend<R>(
  tf: typeof tfjs,
  makeBackend: () => tfjs.KernelBackend,
  work: () => Promise<R>,
): Promise<R> {
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
