import test from 'ava';
import { describeHardware } from '../../src/engines/hardware.js';
import { processMemory, resetPeakMemory } from '../../src/engines/memory.js';

const BYTES = 200 * 2 ** 20;

test('the peak holds what was resident once, until it is reset', (t) => {
  const during = residentWithBuffer();
  const { peakBytes } = processMemory();
  t.true(peakBytes >= 0.99 * during);
  t.true(during >= BYTES);
  const before = processMemory().residentBytes;
  if (!resetPeakMemory()) {
    t.log('this system cannot reset the peak');
    return;
  }
  // Only nearly: the kernel sums its counters of the processors now and then. The buffer may be given back at any moment.
  const { peakBytes: peak, residentBytes: after } = processMemory();
  t.true(peak > 0.9 * after);
  t.true(peak < 1.1 * Math.max(before, after));
});

/** Resident memory while a large buffer is. */
function residentWithBuffer(): number {
  const buffer = Buffer.alloc(BYTES, 1);
  const { residentBytes } = processMemory();
  return buffer.length === BYTES ? residentBytes : 0;
}

test('the hardware is described', async (t) => {
  const hardware = await describeHardware();
  t.true(hardware.cores >= 1);
  t.true(hardware.memoryBytes > 2 ** 28);
  t.is(hardware.node, process.versions.node);
  t.not(hardware.system, '');
});
