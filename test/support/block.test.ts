import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { processMemory } from '../../src/engines/memory.js';
import { allocateBlock, release } from '../../src/support/block.js';

test.serial('released buffers have no bytes, and take no memory, however many there were', async (t) => {
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

test.serial('what lies beside blocks does not keep their memory in the process', async (t) => {
  const bytes = 2 ** 22;
  const count = 40;
  // glibc takes blocks up to the size of the largest that was freed from its heap.
  release([new Uint8Array(2 * bytes).buffer]);
  await sleep(10);
  const before = processMemory().residentBytes;
  const blocks: ArrayBuffer[] = [];
  const beside: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const block = allocateBlock(bytes);
    t.is(new Uint8Array(block).fill(1).length, bytes);
    blocks.push(block);
    beside.push(new Uint8Array(bytes / 32).fill(1));
  }
  t.true(processMemory().residentBytes - before > 0.9 * count * bytes);
  release(blocks);
  // A test that looked once would look before the system has it back.
  const deadline = performance.now() + 10_000;
  while (processMemory().residentBytes - before > 0.3 * count * bytes && performance.now() < deadline) await sleep(10);
  t.true(processMemory().residentBytes - before <= 0.3 * count * bytes);
  t.is(beside.length, count);
});

test.serial('a block of nothing', (t) => {
  t.is(allocateBlock(0).byteLength, 0);
});
