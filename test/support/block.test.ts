import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { allocateBlock, release } from '../../src/support/block.js';

test.serial('released buffers have no bytes and take no memory', async (t) => {
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

test.serial('a block is resizable, so that V8 gives it pages of its own, and has exactly its bytes', (t) => {
  const block = allocateBlock(2 ** 22);
  t.true(block.resizable);
  t.deepEqual([block.byteLength, block.maxByteLength], [2 ** 22, 2 ** 22]);
  t.true(new Uint8Array(block).every((value) => value === 0));
});

test.serial('a block of nothing', (t) => {
  t.is(allocateBlock(0).byteLength, 0);
});
