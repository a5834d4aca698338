import test from 'ava';
import { freeMemory, parseRows, sumOfProcess } from '../../src/engines/hardware.js';

test('unknown cells of nvidia-smi are null', (t) => {
  t.deepEqual(parseRows('NVIDIA H100 80GB HBM3, 570.86, 81559\nOther, [N/A], [Not Supported]\n\n'), [
    ['NVIDIA H100 80GB HBM3', '570.86', '81559'],
    ['Other', null, null],
  ]);
});

test("a process's GPU memory is the sum over GPUs, null where it is not listed or not known", (t) => {
  const rows = parseRows('10, 512\n11, 64\n10, 256\n12, [N/A]\n');
  t.is(sumOfProcess(rows, 10), 768 * 2 ** 20);
  t.is(sumOfProcess(rows, 12), null);
  t.is(sumOfProcess(rows, 13), null);
  t.is(sumOfProcess([], 10), null);
});

test('free memory is that of the GPU in use', (t) => {
  const gpus = parseRows('0, GPU-aa11, 100\n1, GPU-bb22, 200\n2, GPU-cc33, [N/A]\n');
  const free = (processes: string, visible?: string) => freeMemory(gpus, parseRows(processes), 10, visible);
  const MiB = 2 ** 20;
  t.is(free('10, GPU-bb22\n', '0'), 200 * MiB, 'where the process is seen');
  t.is(free('11, GPU-bb22\n'), 100 * MiB, 'the first, where nothing else is said');
  t.is(free('', '1,0'), 200 * MiB);
  t.is(free('', 'GPU-bb'), 200 * MiB);
  t.is(free('', '2'), null, 'not told');
  t.is(free('', '7'), null, 'no such GPU');
  t.is(freeMemory([], [], 10, undefined), null);
});
