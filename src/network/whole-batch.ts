import type { Tensor } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels/kernels.js';
import type { TrainingPass } from './tape.js';

/** What a pass must know of the rest of its batch. */
export type BatchPart = Pick<TrainingPass, 'norm' | 'holdsGradients' | 'shards' | 'updateOfBatch' | 'moveRunning'>;

/** A pass that has the whole batch: nothing to wait for. @param update Takes each parameter's gradient and ownership of it. */
export function wholeBatch(kernels: Kernels, update: (path: string, gradient: Tensor) => void): BatchPart {
  return {
    norm: {
      batchNorm: async (...inputs) => kernels.batchNorm(...inputs),
      batchNormGradient: async (...inputs) => kernels.batchNormGradient(...inputs),
    },
    holdsGradients: false,
    shards: 1,
    updateOfBatch: update,
    moveRunning: (batch, move) => move(batch),
  };
}
