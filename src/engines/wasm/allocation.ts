import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../../support/errors.js';
import { formatBytes, formatFileSize } from '../../support/format.js';

/** The most that WebAssembly can address: pointers of 32 bits. */
export const WASM_HEAP_LIMIT = 2 ** 32;

/**
 * How much larger the heap is than what is in use of it, as freed blocks do not fit what is asked for next. Measured on
 * of several widths: 1.17 to 1.28 in training and 1.14 to 1.52 in inference, of which up to 0.2 is what the heap grows ahead.
 */
const FRAGMENTATION = 1.2;

/** Bytes that WebAssembly's heap must have for so many bytes in use at once. */
export function heapNeeded(bytesInUse: number): number {
  return FRAGMENTATION * bytesInUse;
}

/** The WebAssembly module inside TensorFlow.js's backend, as Emscripten made it, as far as it is used here. */
interface WasmModule {
  readonly HEAPU8: Uint8Array;
  readonly HEAP32: Int32Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
  ___errno_location(): number;
}

/** An allocation in WebAssembly's memory failed. */
export class WasmMemoryError extends UserError {
  override readonly name = 'WasmMemoryError';
}

/** No data of the module lies there: what is written through a null pointer does. */
const NULL_ADDRESS = 0;
const NOTHING_WRITTEN = 0x6e756c6c;

/**
 * Makes every allocation that fails in WebAssembly's memory end the work with an error. TensorFlow.js goes on with address 0
 * otherwise: results lie on top of each other, and older tensors change.
 *
 * Tensors are allocated from JavaScript, where 0 is seen before anything is written. What kernels allocate for themselves
 * (packed filters, indirection tables) is out of sight; but the C library's `malloc` leaves an error number when it fails,
 * and what is written through a null pointer ends on address 0. Both are looked at after every kernel, before its results
 * are used. What such a kernel has done to the memory cannot be told, so the engine computes nothing afterwards.
 *
 * To be called once, before tensors are made.
 */
export function guardAllocations(tf: typeof tfjs): void {
  const { wasm } = tf.backend() as unknown as { readonly wasm: WasmModule };
  const errorNumber = wasm.___errno_location() >>> 2;
  // Emscripten's own entry replaces itself when it is first called.
  wasm._free(wasm._malloc(1));
  const allocate = wasm._malloc;
  wasm._malloc = (bytes) => {
    // It takes 32 bits of the number: 4 GiB and a byte would be one byte.
    const address = bytes < WASM_HEAP_LIMIT ? allocate(bytes) : 0;
    if (address === 0) throw memoryError(wasm, `for a tensor of ${formatFileSize(bytes)}`);
    return address;
  };

  let spoiled: WasmMemoryError | null = null;
  const hasFailed = () => wasm.HEAP32[errorNumber] !== 0 || wasm.HEAP32[NULL_ADDRESS] !== NOTHING_WRITTEN;
  for (const config of tf.getKernelsForBackend('wasm')) {
    const { kernelName, kernelFunc } = config;
    const fail = (cause?: unknown): WasmMemoryError => {
      spoiled = memoryError(wasm, `inside ${kernelName}`, cause);
      return spoiled;
    };
    tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({
      ...config,
      kernelFunc: (inputs) => {
        if (spoiled !== null) throw spoiled;
        wasm.HEAP32[errorNumber] = 0;
        wasm.HEAP32[NULL_ADDRESS] = NOTHING_WRITTEN;
        let outputs: ReturnType<typeof kernelFunc>;
        try {
          outputs = kernelFunc(inputs);
        } catch (error) {
          // A module that finds no memory may also trap.
          throw error instanceof WasmMemoryError || !hasFailed() ? error : fail(error);
        }
        if (hasFailed()) throw fail();
        return outputs;
      },
    });
  }
}

function memoryError({ HEAPU8 }: WasmModule, where: string, cause?: unknown): WasmMemoryError {
  return new WasmMemoryError(
    `The wasm engine is out of memory (${where}): it has ${formatBytes(HEAPU8.length)}, and can get ${formatBytes(WASM_HEAP_LIMIT)} at most.`,
    'Use the tensorflow engine (fcn engines install sets it up), or smaller images, crops or batches.',
    { cause },
  );
}
