import path from 'node:path';
import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../../support/errors.js';
import type { Engine } from '../engine.js';
import { saysOutOfMemory } from '../memory.js';
import { npmPackageFolder, npmPackageVersion, packageRequire } from '../tool.js';
import { shapesCore, withTwinBackend } from '../twin.js';
import { guardAllocations, heapNeeded, WASM_HEAP_LIMIT } from './allocation.js';
import { HeapUse, shapesBackend, type WasmBackendClass } from './shapes.js';
import { replaceSliceKernel } from './slice.js';

/** A module that aborts without a reason while tensors hold this much of its heap, 4 GiB at most, has filled it. */
const HELD_BY_FULL_HEAP = 2 ** 30;

export const WASM_PACKAGE = '@tensorflow/tfjs-backend-wasm';

interface WasmModule {
  readonly BackendWasm: WasmBackendClass;
  setWasmPaths(folder: string): void;
}

/**
 * Starts the WebAssembly backend: no native code; in Node it runs on one thread.
 * @throws UserError where it cannot be started.
 */
export async function startWasm(): Promise<Engine> {
  const require = packageRequire();
  const tf = require('@tensorflow/tfjs-core') as typeof tfjs;
  const wasm = require(WASM_PACKAGE) as WasmModule;
  wasm.setWasmPaths(path.join(npmPackageFolder(WASM_PACKAGE), 'dist', path.sep));
  if (!(await tf.setBackend('wasm'))) {
    throw new UserError(
      'The WebAssembly engine could not be started; TensorFlow.js says why above. Mostly its memory could not be had.',
      'Allow the process a larger address space (ulimit -v): WebAssembly reserves some 10 GB of it, of which it uses little.',
    );
  }
  replaceSliceKernel(tf);
  guardAllocations(tf);
  const engine: Engine = {
    name: 'wasm',
    tf,
    native: null,
    device: 'cpu',
    isNative: false,
    isOutOfMemory: (error) =>
      saysOutOfMemory(error) || (/^Aborted\(/.test(error.message) && tf.memory().numBytes >= HELD_BY_FULL_HEAP),
    addressableBytes: WASM_HEAP_LIMIT,
    withShapes: (work) => {
      const heap = new HeapUse();
      const makeBackend = () => shapesBackend(wasm.BackendWasm, tf, heap);
      return withTwinBackend(tf, makeBackend, () =>
        work({ ...engine, tf: shapesCore(tf), addressedBytes: () => heapNeeded(heap.peakBytes) }),
      );
    },
    deterministic: true,
    halfPrecision: null,
    versions: { 'TensorFlow.js': tf.version_core, 'tfjs-backend-wasm': npmPackageVersion(WASM_PACKAGE) },
  };
  return engine;
}
