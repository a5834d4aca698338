import { setWasmPaths, version_wasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import type { ComputingEngine } from '../engines/engine.js';
import { guardAllocations } from '../engines/wasm/allocation.js';
import { replaceSliceKernel } from '../engines/wasm/slice.js';
import { Device, type DeviceEvents } from '../engines/webgpu/device.js';
import { DeviceExecutor } from '../engines/webgpu/device-executor.js';
import type { Gpu, GpuAdapter } from '../engines/webgpu/gpu.js';
import { requestDevice, useBackend } from '../engines/webgpu/open-device.js';
import type { Kernels } from '../kernels/kernels.js';
import { portableKernels } from '../kernels/portable/index.js';
import { webgpuKernels } from '../kernels/webgpu/index.js';
import type { BackendChoice } from './messages.js';

export interface StartedEngine {
  readonly engine: ComputingEngine;
  readonly kernels: Kernels;
  /** As `Reply` has them. */
  readonly backend: string;
  readonly reason: string | null;
}

/**
 * Starts what computes. `auto` takes a GPU if the browser offers one, else WebAssembly, and says why.
 * @param folder Where the WebAssembly files are; it ends with a slash.
 * @throws Error if what was chosen cannot be used.
 */
export function startBrowserEngine(choice: BackendChoice, folder: string): Promise<StartedEngine> {
  return STARTS[choice](folder);
}

const STARTS: Readonly<Record<BackendChoice, (folder: string) => Promise<StartedEngine>>> = {
  auto: startBest,
  webgpu: startGpu,
  wasm: (folder) => startWasm(folder, null),
};

async function startBest(folder: string): Promise<StartedEngine> {
  const found = await findAdapter();
  if (found.adapter === null) return startWasm(folder, found.reason);
  // A software adapter is slower than WebAssembly.
  if (found.adapter.info.isFallbackAdapter) return startWasm(folder, 'the only WebGPU adapter is software');
  try {
    return await startWebgpu(found.adapter);
  } catch (error) {
    return startWasm(folder, `the GPU cannot be used (${(error as Error).message})`);
  }
}

async function startGpu(): Promise<StartedEngine> {
  const found = await findAdapter();
  if (found.adapter === null)
    throw new Error(`WebGPU cannot be used: ${found.reason}. Choose WebAssembly, or the best there is.`);
  return startWebgpu(found.adapter);
}

type FoundAdapter = { readonly adapter: GpuAdapter } | { readonly adapter: null; readonly reason: string };

async function findAdapter(): Promise<FoundAdapter> {
  const { gpu } = navigator as unknown as { readonly gpu?: Gpu };
  if (gpu === undefined) {
    const reason = isSecureContext
      ? 'this browser has no WebGPU'
      : 'browsers offer WebGPU only to pages from https or from this machine';
    return { adapter: null, reason };
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  return adapter === null ? { adapter, reason: 'this browser offers no GPU' } : { adapter };
}

/** A browser calls back by itself; it cannot be waited for. */
const BROWSER_EVENTS: DeviceEvents = {
  within: (call) => call(),
  wait() {
    throw new Error('A browser reads from a GPU only later: nothing here may wait for it.');
  },
};

async function startWebgpu(adapter: GpuAdapter): Promise<StartedEngine> {
  const { description, vendor, architecture, isFallbackAdapter } = adapter.info;
  const name = description || [vendor, architecture].filter((part) => part !== '').join(' ') || 'GPU';
  const device = new Device(await requestDevice(adapter), BROWSER_EVENTS, name);
  const backend = await useBackend(tf, new DeviceExecutor(device));
  const engine: ComputingEngine = { name: 'webgpu', tf, gpu: backend, device: isFallbackAdapter ? 'cpu' : 'gpu' };
  return { engine, kernels: webgpuKernels(engine), backend: `WebGPU (${name})`, reason: null };
}

async function startWasm(folder: string, reason: string | null): Promise<StartedEngine> {
  // Threads need headers of the server that few send. Without them every browser computes the same.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  setWasmPaths(folder);
  if (!(await tf.setBackend('wasm'))) {
    throw new Error('WebAssembly cannot be started: its memory cannot be allocated, or its file cannot be fetched.');
  }
  replaceSliceKernel(tf);
  guardAllocations(tf);
  const engine: ComputingEngine = { name: 'wasm', tf, gpu: null, device: 'cpu' };
  return { engine, kernels: portableKernels(tf), backend: `WebAssembly (TensorFlow.js ${version_wasm})`, reason };
}
