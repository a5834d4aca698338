import path from 'node:path';
import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../../support/errors.js';
import type { Engine } from '../engine.js';
import { saysOutOfMemory } from '../memory.js';
import { npmPackageFolder, npmPackageVersion, packageRequire } from '../tool.js';
import { shapesCore, withTwinBackend } from '../twin.js';
import { guardAllocations, heapNeeded, WASM_HEAP_LIMIT } from './allocation.js';
import { HeapUse, shapesBackend, type WasmBackendClass } from './shapes.js';

/** The inner side of the WebAssembly backend, as far as it is used here. */
interface WasmBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  makeOutput(shape: number[], dtype: tfjs.DataType): tfjs.TensorInfo;
}

/** A part of an array: equally long runs of elements that lie together, with equal steps along the axes outside of them. */
interface Runs {
  readonly length: number;
  /** Of the first, in elements. */
  readonly start: number;
  /** Of the outer axes, the slowest first. */
  readonly counts: readonly number[];
  readonly strides: readonly number[];
}

/** Where [begin, begin + size) of a row-major array lies. Axes inside the innermost one that is cut go into the runs. */
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
 * Replaces TensorFlow.js's kernel for slices, which first copies its whole input out of WebAssembly's memory, by one that
 * copies what is asked for, within it. Gradients of convolutions take slices of the same tensor for every tap of the filter.
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
      // After the output has its memory: that may move all of it.
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
      // There is none to copy in where only shapes are known (shapes.ts).
      if (length > 0 && heap.length > 0) copy(0, source);
      return output;
    },
  });
}

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
