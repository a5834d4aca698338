import type { Kernels } from '../kernels.js';
import { convolutionKernels } from './convolution.js';
import { batchNormKernels, crossEntropyKernels, pointwiseKernels } from './pointwise.js';
import { resizeKernels } from './resize.js';
import { maxPoolKernels, type TensorFlow } from './window.js';

/**
 * Kernels composed of stock TensorFlow.js operations, for backends without native code. Only operations that the
 * WebAssembly backend has are used, and of those the ones it has fast code for: it convolves, multiplies matrices (not
 * transposed ones), pads, slices contiguous runs and computes on whole tensors quickly; it gathers, reverses and slices with
 * strides one element at a time.
 *
 * @param tf TensorFlow.js's core, set to the backend that is to run them.
 */
export function portableKernels(tf: TensorFlow): Kernels {
  return {
    ...convolutionKernels(tf),
    ...batchNormKernels(tf),
    ...pointwiseKernels(tf),
    ...maxPoolKernels(tf),
    ...resizeKernels(tf),
    ...crossEntropyKernels(tf),
  };
}
