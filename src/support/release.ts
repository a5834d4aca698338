import { MessageChannel } from 'node:worker_threads';

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
