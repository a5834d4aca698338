import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { release } from '../../src/support/release.js';

test('released buffers have no bytes, and take no memory, however many there were', async (t) => {
  const bytes = 2 ** 24;
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 20; i++) {
    const arrays = [new Float32Array(bytes / 4), new Uint8Array(bytes)];
    release(arrays.map(({ buffer }) => buffer));
    for (const array of arrays) t.is(array.length, 0);
    await sleep(1);
  }
  while (process.memoryUsage().arrayBuffers - before >= bytes) await sleep(1);
  t.pass();
});
