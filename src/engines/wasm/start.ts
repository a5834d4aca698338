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

/** The part of the WebAssembly backend that is used here. */
interface WasmBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  makeOutput(shape: number[], dtype: tfjs.DataType): tfjs.TensorInfo;
}

/** A part of an array: contiguous runs of elements of equal length, with constant steps along the axes outside them. */
interface Runs {
  readonly length: number;
  /** Start of the first run, in elements. */
  readonly start: number;
  /** Sizes and strides of the outer axes, the slowest first. */
  readonly counts: readonly number[];
  readonly strides: readonly number[];
}

/** The runs of [begin, begin + size) in a row-major array. They cover the innermost axis that is cut and those inside it. */
function runsOf(shape: readonly number[], begin: readonly number[], size: readonly number[]): Runs {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const cut = shape.findLastIndex((extent, axis) => size[axis] !== extent);
  return {
    length: size.slice(Math.max(cut, 0)).reduce((product, extent) => product * extent, 1),
    start: begin.reduce((sum, position, axis) => sum + position * strides[axis]!, 0),
    counts: size.slice(0, Math.max(cut, 0)),
    strides: strides.slice(0, Math.max(cut, 0)),
  };
}

/**
 * Replaces TensorFlow.js's kernel for slices, which copies its whole input out of WebAssembly's memory, by one that copies only the slice,
 * within that memory. Gradients of convolutions slice the same tensor for every tap of the filter.
 */
function replaceSliceKernel(tf: typeof tfjs): void {
  tf.unregisterKernel('Slice', 'wasm');
  tf.registerKernel({
    kernelName: 'Slice',
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const { wasm, dataIdMap, makeOutput } = backend as WasmBackend;
      const { x } = inputs as { x: tfjs.Tensor };
      const { begin, size } = attrs as unknown as tfjs.SliceAttrs;
      const [first, extent] = tf.slice_util.parseSliceParams(x, begin, size) as [number[], number[]];
      tf.slice_util.assertParamsValid(x, first, extent);
      const output = makeOutput.call(backend, extent, x.dtype);
      const bytes = tf.util.bytesPerElement(x.dtype);
      const { length, start, counts, strides } = runsOf(x.shape, first, extent);
      // Read after the output is allocated, which may move the heap.
      const heap = wasm.HEAPU8;
      const source = dataIdMap.get(x.dataId).memoryOffset + start * bytes;
      let target = dataIdMap.get(output.dataId).memoryOffset;
      const copy = (axis: number, from: number): void => {
        if (axis === counts.length) {
          heap.copyWithin(target, from, from + length * bytes);
          target += length * bytes;
          return;
        }
        for (let i = 0; i < counts[axis]!; i++) copy(axis + 1, from + i * strides[axis]! * bytes);
      };
      // The twin's heap is empty (shapes.ts).
      if (length > 0 && heap.length > 0) copy(0, source);
      return output;
    },
  });
}

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
