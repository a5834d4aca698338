/**
 * Zeroed memory in pages of its own, which V8 gives only to resizable buffers. Others come from the C library's heap: large
 * blocks that come and go fragment it, and it keeps what is freed below a block still in use.
 */
export function allocateBlock(bytes: number): ArrayBuffer {
  return new ArrayBuffer(bytes, { maxByteLength: bytes });
}

/** Arrays whose memory goes to the first tensor made of them. */
const handedOver = new WeakSet<object>();

/** Values: fewer are not worth a block. */
const FEWEST_IN_BLOCK = 2 ** 14;

/**
 * Zeros, to be filled and made a tensor at once. On the native engine the array has no values from then on: TensorFlow has its own copy,
 * and a second one would stay in the process until a garbage collection, which may never come.
 */
export function allocateTensorValues(count: number): Float32Array<ArrayBuffer> {
  if (count < FEWEST_IN_BLOCK) return new Float32Array(count);
  const { BYTES_PER_ELEMENT: element } = Float32Array;
  // At an address that TensorFlow's tensors cannot have: it would use the array's own memory, which is about to be freed.
  const values = new Float32Array(allocateBlock((count + 1) * element), element, count);
  handedOver.add(values);
  return values;
}

/** Whether an array is from `allocateTensorValues`, with memory that may be released. */
export function isHandedOver(values: unknown): values is Float32Array<ArrayBuffer> {
  return typeof values === 'object' && values !== null && handedOver.has(values);
}

/**
 * Frees the memory of buffers in the next turn of the event loop; they have no bytes afterwards. Garbage collection may come much
 * later: objects trigger it, not their memory.
 */
export function release(buffers: readonly ArrayBuffer[]): void {
  // Their receiver is gone before they arrive.
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(null, [...buffers]);
  port2.close();
}
