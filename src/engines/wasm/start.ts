import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { isMainThread } from 'node:worker_threads';
import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../../support/errors.js';
import type { Engine } from '../engine.js';
import { saysOutOfMemory } from '../memory.js';
import { npmPackageFolder, npmPackageVersion, packageRequire } from '../tool.js';
import { shapesCore, withTwinBackend } from '../twin.js';
import { guardAllocations, heapNeeded, heapResident, WASM_HEAP_LIMIT } from './allocation.js';
import { HeapUse, shapesBackend, shapesConcat, type WasmBackendClass } from './shapes.js';
import { replaceSliceKernel } from './slice.js';

/** If a module aborts without a reason while tensors hold this much of its 4 GiB heap, the heap was full. */
const HELD_BY_FULL_HEAP = 2 ** 30;

export const WASM_PACKAGE = '@tensorflow/tfjs-backend-wasm';

interface WasmModule {
  readonly BackendWasm: WasmBackendClass;
  setWasmPaths(folder: string): void;
}

/**
 * Makes V8 compile the module of a worker thread with its optimizing compiler at once. By default all threads share the main thread's
 * code, of which V8 optimizes what is called often; what only workers call often stays as it was first compiled, which takes 1.3 to 1.4
 * times the time (Node 20). Modules compiled before stay as they are.
 */
function optimiseAtOnce(): void {
  setFlagsFromString('--no-wasm-native-module-cache-enabled');
  setFlagsFromString('--no-wasm-dynamic-tiering');
}

/**
 * Starts the WebAssembly backend. In Node it runs on one thread.
 * @throws UserError if it cannot be started.
 */
export async function startWasm(): Promise<Engine> {
  const require = packageRequire();
  const tf = require('@tensorflow/tfjs-core') as typeof tfjs;
  const wasm = require(WASM_PACKAGE) as WasmModule;
  if (!isMainThread) optimiseAtOnce();
  wasm.setWasmPaths(path.join(npmPackageFolder(WASM_PACKAGE), 'dist', path.sep));
  if (!(await tf.setBackend('wasm'))) {
    throw new UserError(
      'The WebAssembly engine cannot be started; TensorFlow.js says why above. Most likely, its memory cannot be allocated.',
      'Allow the process a larger address space (ulimit -v): WebAssembly reserves about 10 GB of it, but uses little.',
    );
  }
  replaceSliceKernel(tf);
  guardAllocations(tf);
  const engine: Engine = {
    name: 'wasm',
    tf,
    native: null,
    gpu: null,
    device: 'cpu',
    gathersReads: false,
    isNative: false,
    convolution: 'direct',
    convolutionBuild: null,
    decidedPaths: new Map(),
    usesOneThread: true,
    isOutOfMemory: (error) =>
      saysOutOfMemory(error) || (/^Aborted\(/.test(error.message) && tf.memory().numBytes >= HELD_BY_FULL_HEAP),
    addressableBytes: WASM_HEAP_LIMIT,
    withShapes: (work) => {
      const heap = new HeapUse();
      const makeBackend = () => shapesBackend(wasm.BackendWasm, tf, heap);
      const addressedBytes = () => heapNeeded(heap.peakBytes);
      const residentBytes = () => heapResident(heap.peakBytes);
      return withTwinBackend(tf, makeBackend, () =>
        work({
          ...engine,
          isTwin: true,
          tf: { ...shapesCore(tf), concat: shapesConcat(tf) },
          addressedBytes,
          residentBytes,
        }),
      );
    },
    isTwin: false,
    deterministic: true,
    halfPrecision: null,
    halfSpeed: null,
    versions: { 'TensorFlow.js': tf.version_core, 'tfjs-backend-wasm': npmPackageVersion(WASM_PACKAGE) },
  };
  return engine;
}
