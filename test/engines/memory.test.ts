import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import { describeHardware } from '../../src/engines/hardware.js';
import { processMemory, resetPeakMemory } from '../../src/engines/memory.js';
import { release } from '../../src/support/block.js';

const BYTES = 200 * 2 ** 20;

test('the peak holds what was resident once, until it is reset', async (t) => {
  const buffer = new Uint8Array(BYTES).fill(1);
  const during = processMemory();
  t.true(during.residentBytes >= BYTES);
  // Only nearly: the kernel sums its counters of the processors now and then.
  t.true(during.peakBytes >= 0.99 * during.residentBytes);
  release([buffer.buffer]);
  const freed = during.residentBytes - 0.9 * BYTES;
  while (processMemory().residentBytes > freed) await setTimeout(5);
  t.true(processMemory().peakBytes >= 0.99 * during.residentBytes);
  if (!resetPeakMemory()) {
    t.log('this system cannot reset the peak');
    return;
  }
  t.true(processMemory().peakBytes < during.peakBytes - 0.5 * BYTES);
});

test('the hardware is described', async (t) => {
  const hardware = await describeHardware();
  t.true(hardware.cores >= 1);
  t.true(hardware.memoryBytes > 2 ** 28);
  t.is(hardware.node, process.versions.node);
  t.not(hardware.system, '');
});
