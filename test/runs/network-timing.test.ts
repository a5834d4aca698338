import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import type { Experiment } from '../../src/recipe/experiment.js';
import { resolve } from '../../src/recipe/resolve.js';
import { captureEnvironment } from '../../src/records/environment.js';
import { type KeptTiming, KeptTimings } from '../../src/runs/kept-timings.js';
import { NetworkTimer } from '../../src/runs/network-timing.js';
import { flopsOfPass } from '../../src/runs/timing-sizes.js';
import { trainingMemory } from '../../src/training/step.js';
import { temporaryFolder, useCache } from '../helpers/folder.js';

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
  t.deepEqual(await timing.time('training', longer), training);
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
  t.deepEqual(timing, {
    secondsPerFlop: 1 / 5e9,
    spread: [0.5, 3.5],
    setUpSeconds: 0,
    basis: 'share',
    isKept: false,
  });
});

test.serial(
  'a time from two small inputs lies on the line through them, and its range is that of all lines',
  async (t) => {
    const folder = await temporaryFolder(t);
    const environment = await captureEnvironment(await startEngine({ engine: 'wasm' }));
    const keys: string[] = [];
    /** A fixed second and a second an operation at each size, and repetitions from a tenth less to a tenth more. */
    const measured = (gflops: number): KeptTiming => ({
      gflops,
      setUpSeconds: 4,
      sizes: [100, 300].map((flops) => ({ flops, seconds: [0.9, 1, 1.1].map((part) => part * (1 + flops)) })),
    });
    useCache(t, folder);
    const kept = await KeptTimings.open(environment);
    const asked = {
      get: (key: string) => {
        keys.push(key);
        return null;
      },
      tryToAdd: async () => null,
    } as unknown as KeptTimings;
    const engine = await startEngine({ engine: 'wasm' });
    const experiment = small();
    // A rate of so few GFLOP/s that even a small step seems to take for ever.
    const options = { engine, convolutionGflops: { fp32: 1e-9 }, memoryBytes: null };
    await new NetworkTimer({ ...options, kept: asked }).time('training', experiment);
    await kept.add(keys[0]!, measured(2e-9));
    const again = new NetworkTimer({ ...options, kept: await KeptTimings.open(environment) });
    const { secondsPerFlop, spread, setUpSeconds, basis, isKept } = await again.time('training', experiment);
    t.deepEqual([basis, isKept, setUpSeconds], ['reduced', true, 8], 'the machine is half as fast as it was');
    const flops = flopsOfPass('training', experiment);
    t.true(Math.abs((secondsPerFlop * flops) / (2 * (1 + flops)) - 1) < 1e-12);
    // Steepest: 331.1 − 90.9 over 200 operations; flattest: 270.9 − 111.1.
    const bound = (first: number, last: number) => (last + ((last - first) / 200) * (flops - 300)) / (1 + flops);
    t.true(Math.abs(spread[0] - bound(111.1, 270.9)) < 1e-9, String(spread));
    // A line may not be so steep that the fixed time is negative.
    t.true(Math.abs(spread[1] - ((331.1 / 300) * flops) / (1 + flops)) < 1e-9, String(spread));
    for (const other of [{ cores: environment.cores + 1 }, { convolution: 'fast' }] as const) {
      t.is((await KeptTimings.open({ ...environment, ...other })).get(keys[0]!), null);
    }
  },
);

test.serial('why a measurement cannot be kept is said', async (t) => {
  const folder = await temporaryFolder(t);
  const cache = path.join(folder, 'cache');
  useCache(t, cache);
  const engine = await startEngine({ engine: 'wasm' });
  const kept = await KeptTimings.open(await captureEnvironment(engine));
  writeFileSync(cache, 'A file where the folder would be.');
  const slow: KeptTiming = { gflops: 1, setUpSeconds: 0, sizes: [{ flops: 1, seconds: [1] }] };
  t.regex((await kept.tryToAdd('key', slow))!, /timings\.json/);
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
  t.true(spread[0] <= 1 && spread[1] >= 1);
  t.deepEqual([...new Set(measured)], ['fcn_r18-d8_512x1024_80k_cityscapes, training steps']);
  t.is(measured.length, 3);

  const signal = AbortSignal.abort(new Error('Enough.'));
  await t.throwsAsync(new NetworkTimer({ ...options, signal }).time('training', wider), { message: 'Enough.' });
});
