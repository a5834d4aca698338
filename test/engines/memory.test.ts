import test from 'ava';
import { describeHardware } from '../../src/engines/hardware.js';
import { processMemory, resetPeakMemory } from '../../src/engines/memory.js';

const BYTES = 200 * 2 ** 20;

test('the peak holds what was resident once, until it is reset', (t) => {
  const during = residentWithBuffer();
  const { peakBytes } = processMemory();
  t.true(peakBytes >= 0.99 * during);
  t.true(during >= BYTES);
  if (!resetPeakMemory()) {
    t.log('this system cannot reset the peak');
    return;
  }
  // Only nearly: the kernel sums its counters of the processors now and then.
  const reset = processMemory();
  t.true(Math.abs(reset.peakBytes - reset.residentBytes) < 0.1 * reset.residentBytes);
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
