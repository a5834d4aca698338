import { MessageChannel } from 'node:worker_threads';

/**
 * Zeroed memory in pages of its own, which V8 gives only to resizable buffers. Others come from the C library's heap: large
 * blocks that come and go fragment it, and it keeps what is freed below a block still in use.
 */
export function allocateBlock(bytes: number): ArrayBuffer {
  return new ArrayBuffer(bytes, { maxByteLength: bytes });
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
