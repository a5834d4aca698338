import test from 'ava';
import { createKernels } from '../../src/kernels/create.js';
import { Tape } from '../../src/network/tape.js';
import { noPause } from '../../src/support/pauses.js';
import { startTestEngine } from '../helpers/engines.js';

test('a resting value is computed again when asked for, a kept one stays', async (t) => {
  const { tf, ...rest } = await startTestEngine('wasm');
  const tape = new Tape(createKernels({ tf, ...rest }));
  let rebuilt = 0;
  const make = () => tf.fill([1, 1, 1, 2], 3) as ReturnType<typeof tf.zeros<import('@tensorflow/tfjs-core').Rank.R4>>;
  const resting = tape.value(make(), () => {
    rebuilt++;
    return make();
  });
  const kept = tape.value(make());
  resting.rest();
  kept.rest();
  t.is(tf.memory().numTensors, 1);
  t.deepEqual([...resting.tensor().dataSync()], [3, 3]);
  t.deepEqual([...kept.tensor().dataSync()], [3, 3]);
  t.is(rebuilt, 1);
  resting.release();
  kept.release();
  t.is(tf.memory().numTensors, 0);
  t.throws(() => kept.tensor(), { message: /after its release/ });
});

test('gradients that meet are added, and the summands released', async (t) => {
  const { tf, ...rest } = await startTestEngine('wasm');
  const tape = new Tape(createKernels({ tf, ...rest }));
  const value = tape.value(tf.zeros([1, 1, 1, 2]));
  t.throws(() => value.takeGradient(), { message: /No gradient/ });
  value.addGradient(tf.tensor4d([1, 2], [1, 1, 1, 2]));
  value.addGradient(tf.tensor4d([10, 20], [1, 1, 1, 2]));
  const gradient = value.takeGradient();
  t.deepEqual([...gradient.dataSync()], [11, 22]);
  gradient.dispose();
  value.release();
  t.is(tf.memory().numTensors, 0);
});

test('backward steps run last one first, once', async (t) => {
  const engine = await startTestEngine('wasm');
  const tape = new Tape(createKernels(engine));
  const order: number[] = [];
  for (const i of [1, 2, 3]) tape.push(() => void order.push(i));
  await tape.backward(noPause);
  await tape.backward(noPause);
  t.deepEqual(order, [3, 2, 1]);
});
