import { createRequire } from 'node:module';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { execa } from 'execa';
import { liveTensors } from '../../src/engines/memory.js';
import { startEngine, tensorflowState } from '../../src/engines/selection.js';
import { allocateTensorValues } from '../../src/support/block.js';
import { packageRoot } from '../../src/support/package.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';

const serial = hasEngine('tensorflow') ? test.serial : test.serial.skip;

serial('TensorFlow computes', async (t) => {
  const engine = await startTestEngine('tensorflow');
  const { tf, native } = engine;
  t.is(engine.name, 'tensorflow');
  const state = await tensorflowState();
  t.is(engine.versions['TensorFlow'], state.kind === 'ready' ? state.manifest.tensorflow : '');
  const before = liveTensors(engine);
  const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const y = tf.matMul(x, x);
  t.deepEqual([...y.dataSync()], [7, 10, 15, 22]);
  const z = native!.executeSingleOutput('Relu', [{ name: 'T', type: native!.binding.TF_ATTR_TYPE, value: 1 }], [x]);
  t.deepEqual([...z.dataSync()], [1, 2, 3, 4]);
  tf.dispose([x, y, z]);
  t.deepEqual(liveTensors(engine), before);

  const values = Float32Array.of(1, 2, 3);
  const held = tf.tensor1d(values);
  for (const when of ['before an operation has taken them over', 'after']) {
    const read = held.dataSync();
    t.not(read.buffer, values.buffer, when);
    read.fill(0);
    t.deepEqual([...held.dataSync()], [1, 2, 3], when);
    tf.dispose(tf.neg(held));
  }
  held.dispose();

  const require = createRequire(path.join(packageRoot(), 'package.json'));
  t.is(require('@tensorflow/tfjs-core'), tf, 'one core');
  t.is(await startEngine(), engine, 'auto takes what runs');
});

serial('values that are handed over leave JavaScript, and are those of the tensor', async (t) => {
  const { tf } = await startTestEngine('tensorflow');
  for (const count of [2 ** 14 - 1, 2 ** 14, 2 ** 20 + 3]) {
    const values = allocateTensorValues(count);
    values.forEach((_, i) => {
      values[i] = i;
    });
    const before = tf.memory().numTensors;
    const x = tf.tensor(values, [1, count], 'float32');
    await setImmediate();
    // A few values are not worth it.
    t.is(values.length, count < 2 ** 14 ? count : 0);
    const read = x.dataSync();
    t.true(read.every((value, i) => value === i));
    const y = tf.neg(x);
    t.is(y.dataSync()[count - 1], 1 - count);
    tf.dispose([x, y]);
    t.is(tf.memory().numTensors, before);
  }
});

/** Runs in a process of its own, since the library prints past Node's streams. */
const PROGRAM = `
const { startEngine } = await import(process.argv[1]);
const { tf } = await startEngine({ engine: 'tensorflow' });
console.log(tf.square(tf.scalar(3)).dataSync()[0]);
console.error('heard');
`;

serial('starting prints nothing, and standard error works afterwards', async (t) => {
  const start = path.join(packageRoot(), 'dist', 'src', 'engines', 'selection.js');
  const { stdout, stderr } = await execa(process.execPath, ['--input-type=module', '-e', PROGRAM, start]);
  t.is(stdout, '9');
  t.is(stderr, 'heard');
});
