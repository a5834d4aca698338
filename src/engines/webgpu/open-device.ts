import type * as tfjs from '@tensorflow/tfjs-core';
import { WebGpuBackend } from './backend.js';
import type { ProgramExecutor } from './executor.js';
import type { GpuAdapter, GpuDevice } from './gpu.js';
import { registerOperations } from './operations/register.js';

const BACKEND = 'webgpu';

/** Used if the adapter has them. */
const FEATURES = ['shader-f16'] as const;
/** Asked for in full: WebGPU's defaults, such as 128 MiB for a tensor, are lower than what GPUs have. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** The device of an adapter, with the limits and features that the programs here use. */
export function requestDevice(adapter: GpuAdapter): Promise<GpuDevice> {
  return adapter.requestDevice({
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
  });
}

/** Makes a backend over an executor TensorFlow.js's backend, without TensorFlow.js's own WebGPU backend. */
export async function useBackend(tf: typeof tfjs, executor: ProgramExecutor): Promise<WebGpuBackend> {
  const backend = new WebGpuBackend(executor);
  registerOperations(tf, BACKEND);
  tf.registerBackend(BACKEND, () => backend);
  if (!(await tf.setBackend(BACKEND))) throw new Error('TensorFlow.js did not take the WebGPU backend.');
  return backend;
}
