import type { Engine } from '../../engines/engine.js';
import type { Kernels } from '../kernels.js';
import { batchNormKernels } from './batch-norm.js';
import { convolutionKernels } from './convolution.js';
import { crossEntropyKernels } from './cross-entropy.js';
import { Operations } from './operations.js';
import { pointwiseKernels } from './pointwise.js';
import { maxPoolKernels, resizeKernels } from './pool-resize.js';

/**
 * Kernels by native TensorFlow operations, called through the backend.
 * @param afterOperation called after every operation, before its inputs can be released.
 */
export function tensorflowKernels(engine: Engine, afterOperation: () => void = () => {}): Kernels {
  const operations = new Operations(engine, afterOperation);
  return {
    ...convolutionKernels(operations),
    ...batchNormKernels(operations),
    ...pointwiseKernels(operations),
    ...maxPoolKernels(operations),
    ...resizeKernels(operations),
    ...crossEntropyKernels(operations),
  };
}
