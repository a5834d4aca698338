import { MessageChannel } from 'node:worker_threads';

/**
 * Zeroed memory in pages of its own: V8 gives that to buffers which could shrink. Others come from the C library's heap, which
 * keeps what is freed below something that is still used: blocks of many megabytes that come and go leave it ever more scattered.
 */
export function allocateBlock(bytes: number): ArrayBuffer {
  return new ArrayBuffer(bytes, { maxByteLength: bytes });
}

/**
 * Frees the memory of buffers in the next turn of the event loop. Garbage collection, which objects bring on rather than their
 * memory, may leave them for long. They have no bytes afterwards.
 */
export function release(buffers: readonly ArrayBuffer[]): void {
  // They are handed over to one who is gone before they arrive.
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(null, [...buffers]);
  port2.close();
}
