import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import type { Experiment } from '../../src/recipe/experiment.js';
import { resolve } from '../../src/recipe/resolve.js';
import { NetworkTimer } from '../../src/runs/network-timing.js';
import { trainingMemory } from '../../src/training/step.js';

/** A small experiment; a rate of this many GFLOP/s says that anything takes no time, or for ever. */
const small = (...overrides: string[]): Experiment =>
  resolve({ row: 'fcn_r18-d8_512x1024_80k_cityscapes', profile: 'smoke', overrides: ['width=4', ...overrides] });
const FAST = { fp32: 1e9 };
const SLOW = { fp32: 1e-9 };

async function timer(convolutionGflops: { fp32: number }, memoryBytes: number | null) {
  const engine = await startEngine({ engine: 'wasm' });
  return new NetworkTimer({ engine, convolutionGflops, memoryBytes });
}

test.serial('a network is measured once, as its recipe has it, whatever else differs', async (t) => {
  const experiment = small();
  const longer = small('iterations=500', 'pretrained=null');
  const timing = await timer(FAST, null);
  const training = await timing.time('training', experiment);
  t.is(training.basis, 'measured');
  t.true(training.secondsPerFlop > 0 && training.setUpSeconds >= 0);
  t.is(await timing.time('training', longer), training);
  const inference = await timing.time('inference', experiment);
  t.is(inference.basis, 'measured');
  t.not(inference, training);
});

test.serial('what does not fit into memory is measured smaller', async (t) => {
  const experiment = small('training.batch=8');
  const engine = await startEngine({ engine: 'wasm' });
  // As much as a batch of one takes, and a little more.
  const { addressedBytes } = await trainingMemory(engine, experiment, experiment.data.cropHw, 1);
  const memory = addressedBytes! * 1.3;
  t.is((await (await timer(FAST, memory)).time('training', experiment)).basis, 'reduced');
});

test.serial('what takes too long is scaled from the smallest', async (t) => {
  const experiment = small();
  t.is((await (await timer(SLOW, null)).time('training', experiment)).basis, 'reduced');
});

test.serial('what cannot be measured at all goes by an expected share of the bare rate', async (t) => {
  const experiment = small();
  const timing = await (await timer({ fp32: 10 }, 1)).time('inference', experiment);
  // Half of 10 GFLOP/s.
  t.deepEqual(timing, { secondsPerFlop: 1 / 5e9, spread: [0.5, 3.5], setUpSeconds: 0, basis: 'share' });
});

test.serial('a time does not depend on which other networks are timed, and what is measured is said', async (t) => {
  const experiment = small('training.batch=1');
  const wider = small('training.batch=2');
  const engine = await startEngine({ engine: 'wasm' });
  const measured: string[] = [];
  const onMeasure = (what: string) => measured.push(what);
  const options = { engine, convolutionGflops: FAST, memoryBytes: null, onMeasure };
  const among = new NetworkTimer(options);
  await among.time('training', wider);
  const { basis, spread } = await among.time('training', experiment);
  t.is((await new NetworkTimer(options).time('training', experiment)).basis, basis);
  t.true(spread[0] < 1 && spread[1] > 1);
  t.deepEqual([...new Set(measured)], ['fcn_r18-d8_512x1024_80k_cityscapes, a training step']);
  t.is(measured.length, 3);

  const signal = AbortSignal.abort(new Error('Enough.'));
  await t.throwsAsync(new NetworkTimer({ ...options, signal }).time('training', wider), { message: 'Enough.' });
});
