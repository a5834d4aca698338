import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../../support/errors.js';
import { formatBytes, formatFileSize } from '../../support/format.js';

/** The most that WebAssembly can address, with pointers of 32 bits. */
export const WASM_HEAP_LIMIT = 2 ** 32;

/**
 * Size of the heap over the bytes in use: freed blocks often do not fit the next allocation. Measured on of several
 * widths: 1.17 to 1.28 in training and 1.14 to 1.52 in inference, including up to 0.2 by which the heap grows in advance.
 */
const FRAGMENTATION = 1.2;

/** Bytes that WebAssembly's heap needs for so many bytes in use. */
export function heapNeeded(bytesInUse: number): number {
  return FRAGMENTATION * bytesInUse;
}

/**
 * The part of the heap that is ever written, and so takes main memory, over the bytes in use. Measured: 1.0 and less
 * (docs/measuring.md).
 */
const WRITTEN = 1.1;

/** Bytes of main memory that the heap takes for so many bytes in use. It never shrinks. */
export function heapResident(bytesInUse: number): number {
  return WRITTEN * bytesInUse;
}

/** The part used here of the WebAssembly module in TensorFlow.js's backend, made by Emscripten. */
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

/** The module has no data at this address: only a write through a null pointer changes it. */
const NULL_ADDRESS = 0;
const UNCHANGED = 0x6e756c6c;

/**
 * Makes every failed allocation in WebAssembly's memory an error. Otherwise TensorFlow.js continues with address 0: results overwrite
 * each other, and older tensors change.
 *
 * JavaScript allocates tensors, and notices a 0 before anything is written. Kernels also allocate memory themselves (packed filters,
 * indirection tables). If that fails, the C library's `malloc` sets an error number, and writes through the null pointer change
 * address 0. Both are checked after every kernel, before its results are used. Such a kernel may have damaged the memory, so the
 * engine computes nothing afterwards.
 *
 * Call it once, before any tensor is made.
 */
export function guardAllocations(tf: typeof tfjs): void {
  const { wasm } = tf.backend() as unknown as { readonly wasm: WasmModule };
  const errorNumber = wasm.___errno_location() >>> 2;
  // Emscripten's entries replace themselves at the first call.
  wasm._free(wasm._malloc(1));
  const allocate = wasm._malloc;
  wasm._malloc = (bytes) => {
    // malloc takes only 32 bits: 4 GiB and a byte would become one byte.
    const address = bytes < WASM_HEAP_LIMIT ? allocate(bytes) : 0;
    if (address === 0) throw memoryError(wasm, `for a tensor of ${formatFileSize(bytes)}`);
    return address;
  };

  let failure: WasmMemoryError | null = null;
  const hasFailed = () => wasm.HEAP32[errorNumber] !== 0 || wasm.HEAP32[NULL_ADDRESS] !== UNCHANGED;
  for (const config of tf.getKernelsForBackend('wasm')) {
    const { kernelName, kernelFunc } = config;
    const fail = (cause?: unknown): WasmMemoryError => {
      failure = memoryError(wasm, `in ${kernelName}`, cause);
      return failure;
    };
    tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({
      ...config,
      kernelFunc: (inputs) => {
        if (failure !== null) throw failure;
        wasm.HEAP32[errorNumber] = 0;
        wasm.HEAP32[NULL_ADDRESS] = UNCHANGED;
        let outputs: ReturnType<typeof kernelFunc>;
        try {
          outputs = kernelFunc(inputs);
        } catch (error) {
          // Without memory, a module may also trap.
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
    `The wasm engine is out of memory (${where}): it has ${formatBytes(HEAPU8.length)}, and can have ${formatBytes(WASM_HEAP_LIMIT)} at most.`,
    'Use the tensorflow engine (install it with fcn engines install), or smaller images, crops or batches.',
    { cause },
  );
}
