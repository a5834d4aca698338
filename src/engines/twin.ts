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

/**
 * TensorFlow.js's core for a twin: tensors of images and labels are made of their shapes alone, so that no arrays as large as
 * theirs are needed.
 */
export function shapesCore(tf: typeof tfjs): typeof tfjs {
  const filled = (shape: number[], dtype: 'float32' | 'int32' = 'float32') => tf.fill(shape, 0, dtype);
  const made = {
    tensor3d: (_values: unknown, shape: number[], dtype?: 'float32' | 'int32') => filled(shape, dtype),
    tensor4d: (_values: unknown, shape: number[], dtype?: 'float32' | 'int32') => filled(shape, dtype),
  };
  return { ...tf, ...(made as Pick<typeof tfjs, 'tensor3d' | 'tensor4d'>) };
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
