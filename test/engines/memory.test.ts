import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import test, { type ExecutionContext } from 'ava';
import { describeHardware } from '../../src/engines/hardware.js';
import { processMemory, resetPeakMemory } from '../../src/engines/memory.js';

/** Replaces functions of node:fs until the test ends. */
function replace(t: ExecutionContext, functions: Partial<Pick<typeof fs, 'readFileSync' | 'writeFileSync'>>): void {
  const { readFileSync, writeFileSync } = fs;
  Object.assign(fs, functions);
  syncBuiltinESMExports();
  t.teardown(() => {
    Object.assign(fs, { readFileSync, writeFileSync });
    syncBuiltinESMExports();
  });
}

/** Other systems have no /proc. */
const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip;

onLinux('resident memory and its peak are those that Linux reports', (t) => {
  const own = processMemory();
  t.true(own.residentBytes > 0 && own.peakBytes > 0);
  const status = 'Name:\tnode\nVmPeak:\t  900 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n';
  replace(t, { readFileSync: (() => status) as unknown as typeof fs.readFileSync });
  t.deepEqual(processMemory(), { residentBytes: 200 * 1024, peakBytes: 300 * 1024 });
});

onLinux('the peak is reset as proc_pid_clear_refs(5) says; a refusal is reported', (t) => {
  const written: unknown[] = [];
  let code: string | null = null;
  replace(t, {
    writeFileSync: (...parameters) => {
      if (code !== null) throw Object.assign(new Error(code), { code });
      written.push(parameters.slice(0, 2));
    },
  });
  t.true(resetPeakMemory());
  t.deepEqual(written, [['/proc/self/clear_refs', '5']]);
  for (code of ['EACCES', 'EROFS']) t.false(resetPeakMemory());
  code = 'EIO';
  t.throws(() => resetPeakMemory(), { code });
});

test('the hardware is described', async (t) => {
  const hardware = await describeHardware();
  t.true(hardware.cores >= 1);
  t.true(hardware.memoryBytes > 2 ** 28);
  t.is(hardware.node, process.versions.node);
  t.not(hardware.system, '');
});
