import test from 'ava';
import type { Engine } from '../../src/engines/engine.js';
import { startEngine } from '../../src/engines/selection.js';
import { createKernels } from '../../src/kernels/create.js';
import { kernelCosts, TimedKernels } from '../../src/measurement/kernel-costs.js';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';

let engine: Engine;

test.before(async () => {
  engine = await startEngine({ engine: 'wasm' });
});

/** Too cheap to time (views, single values and multiplications, a value a channel), not used by a network by itself, or timed as what blocks. */
const UNTIMED = [
  'allFiniteLater',
  'cast',
  'joinShards',
  'largestMagnitudeLater',
  'readScalars',
  'runningStatistics',
  'scaleChannels',
];

test.serial('every kernel is timed', (t) => {
  const timed = new TimedKernels(engine);
  const names = new Set(timed.kernels.map(({ kernel }) => kernel.split(' ')[0]!));
  timed.dispose();
  t.deepEqual([...names, ...UNTIMED].sort(), Object.keys(createKernels(engine)).sort());
});

test.serial('costs are positive ratios, one a kernel, and no tensor is left behind', async (t) => {
  const before = engine.tf.memory().numTensors;
  const costs = await kernelCosts(engine, undefined, { passes: 2, rounds: 2 });
  t.is(engine.tf.memory().numTensors, before);
  t.is(new Set(costs.map(({ kernel }) => kernel)).size, costs.length);
  for (const { kernel, cost } of costs) t.true(Number.isFinite(cost) && cost > 0, kernel);
});

test.serial('timing can be interrupted, and then leaves no tensor behind', async (t) => {
  const before = engine.tf.memory().numTensors;
  const signal = AbortSignal.abort(new InterruptedError('', ExitCode.terminated));
  const error = await t.throwsAsync(kernelCosts(engine, signal), { instanceOf: InterruptedError });
  t.is(error.exitCode, ExitCode.terminated);
  t.is(engine.tf.memory().numTensors, before);
});
