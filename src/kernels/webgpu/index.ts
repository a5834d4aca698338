import type { ComputingEngine } from '../../engines/engine.js';
import type { Kernels } from '../kernels.js';
import { portableShardedBatchNormKernels } from '../portable/sharded-batch-norm.js';
import { webgpuBatchNormKernels } from './batch-norm.js';
import { Convolutions } from './convolution.js';
import { webgpuCrossEntropyKernels } from './cross-entropy.js';
import { webgpuMaxPoolKernels } from './max-pool.js';
import { webgpuPointwiseKernels } from './pointwise.js';
import { Programs } from './programs.js';
import { webgpuResizeKernels } from './resize.js';
import type { chooseTile } from './tile.js';

interface WebgpuKernelsOptions {
  /** Called after every program, before its inputs can be released. */
  readonly afterOperation?: (() => void) | undefined;
  /** Default: `chooseTile`. */
  readonly tiles?: typeof chooseTile;
}

/** Kernels by programs of this package, on a GPU. All sums are taken in float32 and in a fixed order. */
export function webgpuKernels(engine: ComputingEngine, { afterOperation, tiles }: WebgpuKernelsOptions = {}): Kernels {
  const programs = new Programs(engine);
  if (afterOperation !== undefined) programs.backend.afterDispatch = afterOperation;
  const convolutions = new Convolutions(programs, tiles);
  const batchNorm = webgpuBatchNormKernels(programs);
  return {
    convolution: convolutions.convolution,
    convolutionBias: convolutions.convolutionBias,
    joinedConvolutionBias: convolutions.joinedConvolutionBias,
    convolutionInputGradient: convolutions.convolutionInputGradient,
    convolutionFilterGradient: convolutions.convolutionFilterGradient,
    ...batchNorm,
    // Several processes that share a step: stock operations of this backend.
    ...portableShardedBatchNormKernels(engine.tf, batchNorm),
    ...webgpuPointwiseKernels(programs),
    ...webgpuMaxPoolKernels(programs),
    ...webgpuResizeKernels(programs),
    ...webgpuCrossEntropyKernels(programs),
  };
}
