import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { BestFitAllocator, type Chunk } from '../../src/engines/tensorflow/allocator.js';
import { ResidentMemory } from '../../src/engines/tensorflow/resident.js';
import { packageRoot } from '../../src/support/package.js';

const MB = 2 ** 20;

/**
 * What TensorFlow 2.21 logged (TF_CPP_VMODULE=bfc_allocator=4) in two training steps of fcn_r18-d8_512x1024_80k_cityscapes with crops of
 * 128×256: "number bytes region offset" for each allocation, "-number" where it was freed.
 */
const LOGGED = path.join(packageRoot(), 'test/engines/allocations.txt');

test('allocations are placed exactly where TensorFlow places them', (t) => {
  const allocator = new BestFitAllocator();
  const chunks = new Map<string, Chunk>();
  const regions: unknown[] = [];
  let placed = 0;
  for (const line of readFileSync(LOGGED, 'utf8').trimEnd().split('\n')) {
    if (line.startsWith('-')) {
      allocator.free(chunks.get(line.slice(1))!);
      continue;
    }
    const [number, bytes, region, offset] = line.split(' ') as [string, string, string, string];
    const chunk = allocator.allocate(Number(bytes));
    if (!regions.includes(chunk.region)) regions.push(chunk.region);
    t.deepEqual([regions.indexOf(chunk.region), chunk.start], [Number(region), Number(offset)], `allocation ${number}`);
    chunks.set(number, chunk);
    placed++;
  }
  t.is(placed, 430);
  t.is(regions.length, 7);
});

test('freed memory stays in the process and is used again', (t) => {
  const memory = new ResidentMemory();
  memory.allocate(0, 100 * MB);
  const once = memory.peakBytes;
  t.true(once >= 100 * MB && once < 101 * MB);
  memory.free(0);
  memory.allocate(1, 100 * MB);
  t.is(memory.peakBytes, once);
  memory.allocate(2, 50 * MB);
  t.true(memory.peakBytes >= 150 * MB);
});

test('tensors that share values take memory once, until the last of them is freed', (t) => {
  const memory = new ResidentMemory();
  memory.allocate(0, 64 * MB);
  const once = memory.peakBytes;
  memory.share(1, 0);
  t.is(memory.peakBytes, once);
  memory.free(0);
  // The values are still in use: this needs other memory.
  memory.allocate(2, 64 * MB);
  t.true(memory.peakBytes >= 128 * MB);
});

test('memory of any size is counted without memory of its own', (t) => {
  const memory = new ResidentMemory();
  const huge = 2 ** 20 * 2 ** 30;
  for (let tensor = 0; tensor < 100; tensor++) memory.allocate(tensor, huge);
  t.is(memory.peakBytes, 100 * huge);
  for (let tensor = 0; tensor < 100; tensor += 2) memory.free(tensor);
  memory.allocate(0, huge);
  t.is(memory.peakBytes, 100 * huge);
});

test('small tensors and scratch count while they exist', (t) => {
  const memory = new ResidentMemory();
  memory.allocate(0, 1000);
  t.is(memory.peakBytes, 1000);
  memory.free(0);
  memory.allocate(1, 500);
  t.is(memory.peakBytes, 1000);
  memory.scratch({ allocator: 0, library: 3000, kept: 0 });
  t.is(memory.peakBytes, 3500);
  memory.scratch({ allocator: 0, library: 3000, kept: 0 });
  t.is(memory.peakBytes, 3500);
});
