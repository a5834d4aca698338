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
