import test from 'ava';
import { measureTraining } from '../../src/benchmark/measure.js';
import { resolve } from '../../src/experiments/resolve.js';
import { trainingMemory } from '../../src/nn/memory.js';
import { startTestEngine } from '../helpers/engines.js';

/** Rows of every structure, narrow and small, and one of which the parameters are most of the memory. */
const CASES: readonly { row: string; width: number; sizeHw: readonly [number, number] }[] = [
  { row: 'fcn_r18-d8_512x1024_80k_cityscapes', width: 16, sizeHw: [128, 256] },
  { row: 'fcn_r18-d8_512x1024_80k_cityscapes', width: 64, sizeHw: [64, 64] },
  { row: 'fcn_r18b-d8_769x769_80k_cityscapes', width: 16, sizeHw: [97, 97] },
  { row: 'fcn_r50-d8_512x1024_40k_cityscapes', width: 16, sizeHw: [128, 128] },
  { row: 'fcn_d6_r50-d16_512x1024_40k_cityscapes', width: 16, sizeHw: [128, 256] },
  { row: 'fcn_d6_r101-d16_512x1024_40k_cityscapes', width: 16, sizeHw: [64, 64] },
  { row: 'fcn_r101-d8_512x512_80k_ade20k', width: 8, sizeHw: [128, 128] },
];

/** Relative. On the native kernels it is 0.002 for all of these; what an operation holds inside itself may change. */
const TOLERANCE = 0.05;

for (const { row, width, sizeHw } of CASES) {
  test.serial(`the memory of training ${row} at width ${width} is what its shapes say`, async (t) => {
    // The portable kernels' own tensors are not seen by the measurement.
    const engine = await startTestEngine('tensorflow');
    if (engine === null) {
      t.log('skipped: the tensorflow engine is not installed');
      t.pass();
      return;
    }
    const batch = 2;
    const experiment = resolve({ row, overrides: [`width=${width}`, 'pretrained=null'] });
    const measured = await measureTraining({ engine, experiment, sizeHw, batch, warmup: 1, repetitions: 1 });
    const { peakBytes, parameterBytes, keptBytes } = trainingMemory(experiment.model, sizeHw, batch);
    t.true(
      Math.abs(peakBytes / measured.liveTensorBytes - 1) <= TOLERANCE,
      `estimated ${peakBytes}, measured ${measured.liveTensorBytes} bytes`,
    );
    t.true(parameterBytes + keptBytes < peakBytes);
  });
}

test('memory grows with the images of a step, and the parameters do not', (t) => {
  const { model, data } = resolve({ row: 'fcn_r50-d8_512x1024_40k_cityscapes' });
  const two = trainingMemory(model, data.cropHw, 2);
  const eight = trainingMemory(model, data.cropHw, 8);
  t.is(eight.parameterBytes, two.parameterBytes);
  t.is(eight.keptBytes, 4 * two.keptBytes);
  t.true(eight.peakBytes < 4 * two.peakBytes);
});
