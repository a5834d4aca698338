import type { Engine } from '../../engines/engine.js';
import type { Kernels } from '../kernels.js';
import { convolutionKernels } from './convolution.js';
import { crossEntropyKernels } from './cross-entropy.js';
import { fusedBatchNormKernels } from './fused-batch-norm.js';
import { Operations } from './operations.js';
import { ownKernels } from './own.js';
import { maxPoolKernels, pointwiseKernels, resizeKernels } from './pointwise.js';

export interface TensorflowKernelsOptions {
  /** Called after every operation, before its inputs can be released. */
  readonly afterOperation?: (() => void) | undefined;
  /** TensorFlow's own operations alone: what runs on GPUs, tested on any device. */
  readonly stock?: boolean;
  /** No operation that TensorFlow refuses on GPUs where they are to be deterministic. */
  readonly deterministic?: boolean;
}

/**
 * Kernels by native operations, called through the backend: TensorFlow's own, and on CPUs this package's where those would
 * pass over memory more often than they must.
 */
export function tensorflowKernels(engine: Engine, options: TensorflowKernelsOptions = {}): Kernels {
  const onGpu = engine.device !== 'cpu';
  const { afterOperation = () => {}, stock = onGpu, deterministic = onGpu && engine.deterministic } = options;
  const operations = new Operations(engine, afterOperation);
  return {
    ...convolutionKernels(operations),
    ...pointwiseKernels(operations),
    ...maxPoolKernels(operations),
    ...resizeKernels(operations),
    ...crossEntropyKernels(operations, deterministic),
    ...fusedBatchNormKernels(operations),
    ...(stock ? {} : ownKernels(operations)),
  };
}
