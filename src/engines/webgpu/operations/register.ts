import type * as tfjs from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../backend.js';
import { elementwiseOperations } from './elementwise.js';
import { layoutOperations } from './layout.js';
import type { Operation } from './operation.js';
import { sumOperations } from './sums.js';

/** Tells TensorFlow.js the operations that a backend of this name has. */
export function registerOperations(tf: typeof tfjs, backendName: string): void {
  const all: [string, Operation][] = [...elementwiseOperations, ...layoutOperations, ...sumOperations];
  for (const [kernelName, operation] of all) {
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend }) =>
        operation({
          tf,
          backend: backend as tfjs.KernelBackend & GpuBackend,
          inputs: inputs as tfjs.NamedTensorInfoMap,
          attributes: attrs ?? {},
        }),
    });
  }
}
