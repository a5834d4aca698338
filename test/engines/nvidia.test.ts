import test from 'ava';
import { parseRows, sumOfProcess } from '../../src/engines/nvidia.js';

test('cells that nvidia-smi does not know are absent', (t) => {
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
