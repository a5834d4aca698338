import { type Kernels, readingAtOnce } from '../kernels.js';
import { portableConvolutionKernels } from './convolution.js';
import { portableBatchNormKernels, portableCrossEntropyKernels, portablePointwiseKernels } from './pointwise.js';
import { portableResizeKernels } from './resize.js';
import { portableShardedBatchNormKernels } from './sharded-batch-norm.js';
import { portableMaxPoolKernels, type TensorFlow } from './window.js';

/**
 * Kernels composed of stock TensorFlow.js operations, for backends without native code. They use only operations
 * that are fast on the WebAssembly backend: it convolves, multiplies matrices (not transposed ones), pads, slices contiguous
 * runs and computes on whole tensors quickly; it gathers, reverses and slices with strides one element at a time.
 *
 * @param tf TensorFlow.js's core, set to the backend that runs them.
 * @param isTwin As `Engine.isTwin`: no values are computed.
 */
export function portableKernels(tf: TensorFlow, isTwin = false): Kernels {
  const batchNorm = portableBatchNormKernels(tf);
  return readingAtOnce({
    ...portableConvolutionKernels(tf),
    ...batchNorm,
    ...portableShardedBatchNormKernels(tf, batchNorm),
    ...portablePointwiseKernels(tf),
    ...portableMaxPoolKernels(tf),
    ...portableResizeKernels(tf, isTwin),
    ...portableCrossEntropyKernels(tf),
  });
}
