import process from 'node:process';
import test from 'ava';
import type { EngineName } from '../../src/engines/engine.js';
import { liveTensors } from '../../src/engines/memory.js';
import { startEngine } from '../../src/engines/selection.js';
import { UserError } from '../../src/support/errors.js';

test.serial('an unknown engine is refused', async (t) => {
  await t.throwsAsync(startEngine({ engine: 'cuda' as EngineName }), {
    instanceOf: UserError,
    message: 'Unknown engine "cuda": expected auto, tensorflow, webgpu, wasm.',
  });
});

test.serial('wasm computes, whatever the working directory', async (t) => {
  const folder = process.cwd();
  t.teardown(() => process.chdir(folder));
  process.chdir('/');
  const engine = await startEngine({ engine: 'wasm' });
  t.like(engine, { name: 'wasm', native: null, device: 'cpu' });
  t.is(engine.versions['tfjs-backend-wasm'], '4.22.0');
  const { tf } = engine;
  t.is(tf.getBackend(), 'wasm');
  const before = liveTensors(engine);
  const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const y = tf.matMul(x, x);
  t.deepEqual([...y.dataSync()], [7, 10, 15, 22]);
  const during = liveTensors(engine);
  t.is(during.count - before.count, 2);
  t.is(during.bytes - before.bytes, 32);
  tf.dispose([x, y]);
  t.deepEqual(liveTensors(engine), before);
});

test.serial('one engine per process', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  t.is(await startEngine({ engine: 'wasm' }), engine);
  t.is(await startEngine(), engine, 'auto takes what runs');
  await t.throwsAsync(startEngine({ engine: 'tensorflow' }), { message: /The wasm engine is running/ });
});
