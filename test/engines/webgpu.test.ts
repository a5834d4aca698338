import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Tensor } from '@tensorflow/tfjs-core';
import { liveTensors } from '../../src/engines/memory.js';
import { DeviceLostError, GpuMemoryError, TensorTooLargeError } from '../../src/engines/webgpu/errors.js';
import { pooledBytes } from '../../src/engines/webgpu/pool.js';
import { createKernels } from '../../src/kernels/create.js';
import { ExitCode } from '../../src/support/errors.js';
import { withEngine } from '../helpers/engines.js';

const onWebgpu = withEngine('webgpu');

/** Collects garbage at once. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

onWebgpu('it computes, reads synchronously and asynchronously, and counts live bytes', async (t, engine) => {
  const { tf } = engine;
  t.is(tf.getBackend(), 'webgpu');
  const before = liveTensors(engine);
  const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const y = tf.matMul(x, x);
  // A read that is under way does not keep another one waiting.
  const later = y.data();
  t.deepEqual([...y.dataSync()], [7, 10, 15, 22]);
  t.deepEqual([...(await later)], [7, 10, 15, 22]);
  const during = liveTensors(engine);
  t.is(during.bytes - before.bytes, 32);
  const view = tf.reshape(x, [4]);
  t.is(liveTensors(engine).bytes, during.bytes, 'a view has the same memory');
  tf.dispose([x, y, view]);
  t.deepEqual(liveTensors(engine), before);
});

onWebgpu('the operations of the code above the kernels', async (t, { tf }) => {
  const values = (tensor: Tensor) => [...tensor.dataSync()];
  tf.tidy(() => {
    const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 2, 2]);
    t.deepEqual(values(tf.reverse(x, 2)), [3, 4, 1, 2, 7, 8, 5, 6]);
    t.deepEqual(values(tf.slice(x, [0, 1, 0, 1], [1, 1, 2, 1])), [6, 8]);
    t.deepEqual(values(tf.concat([x, x], 3)).slice(0, 8), [1, 2, 1, 2, 3, 4, 3, 4]);
    t.deepEqual(values(tf.gather(x, tf.tensor1d([1, 0, 1], 'int32'), 1)), [5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    t.deepEqual(values(tf.sum(x)), [36]);
    t.deepEqual(values(tf.sum(x, [0, 1, 2])), [16, 20]);
    t.deepEqual(values(tf.sub(tf.mul(x, 2), tf.div(x, 2))), [1.5, 3, 4.5, 6, 7.5, 9, 10.5, 12]);
    t.deepEqual(values(tf.add(x, tf.tensor1d([10, 20]))), [11, 22, 13, 24, 15, 26, 17, 28]);
    t.deepEqual(values(tf.abs(tf.sub(x, 4))), [3, 2, 1, 0, 1, 2, 3, 4]);
    t.deepEqual(values(tf.rsqrt(tf.tensor1d([4, 16]))), [0.5, 0.25]);
    t.deepEqual(values(tf.cast(tf.tensor1d([1.75, -1.75]), 'int32')), [1, -1]);
    t.deepEqual(values(tf.fill([3], 2.5)), [2.5, 2.5, 2.5]);
    t.deepEqual(values(tf.zerosLike(x)), [0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

onWebgpu('a sum of a million values keeps its digits', async (t, { tf }) => {
  const x = tf.fill([1_000_003], 0.1);
  const sum = tf.sum(x);
  const [value] = sum.dataSync();
  // A sum of one after the other would be 0.9 % off. Measured: 9e-7, as all roundings are alike.
  t.true(Math.abs(value! / (1_000_003 * Math.fround(0.1)) - 1) < 3.6e-6, String(value));
  tf.dispose([x, sum]);
});

onWebgpu('garbage collection between a submission and its read changes nothing', async (t, { tf }) => {
  for (let round = 0; round < 5; round++) {
    const x = tf.fill([1000], round);
    const y = tf.mul(x, 2);
    const later = y.data();
    collectGarbage();
    t.true((await later).every((value) => value === 2 * round));
    collectGarbage();
    t.is(y.dataSync()[999], 2 * round);
    tf.dispose([x, y]);
  }
});

onWebgpu('the pool keeps no more than the largest need and its slack, over 20 image sizes', async (t, engine) => {
  const { tf, gpu } = engine;
  const kernels = createKernels(engine);
  const most = (bytes: number) => (9 / 8) * bytes + 64 * 2 ** 20;
  let largest = gpu!.liveBytes;
  for (let size = 0; size < 20; size++) {
    // 20 to 26 MB each, of sizes that share no buffers by chance.
    const x = tf.zeros([1, 500 + 7 * size, 400, 26]) as ReturnType<typeof tf.tensor4d>;
    const sum = kernels.add(x, x);
    const again = kernels.relu(sum);
    largest = Math.max(largest, gpu!.liveBytes);
    tf.dispose([x, sum, again]);
    t.true(gpu!.allocatedBytes <= most(largest), `${gpu!.allocatedBytes} of ${most(largest)} bytes at size ${size}`);
  }
});

onWebgpu('a buffer is at most an eighth larger than its tensor', async (t) => {
  for (let bytes = 257; bytes < 2 ** 33; bytes = Math.ceil(bytes * 1.37)) {
    const size = pooledBytes(bytes);
    t.true(size >= bytes && size <= 1.125 * bytes + 1 && size % 4 === 0, `${bytes} in ${size}`);
  }
});

onWebgpu('a tensor over the limit is refused by its shape and size, before anything is computed', async (t, engine) => {
  const { numTensors } = engine.tf.memory();
  const error = t.throws(() => engine.tf.fill([70_000, 70_000], 0), { instanceOf: TensorTooLargeError });
  t.regex(
    error.message,
    /^A tensor of shape \[70000, 70000\] takes 18\.25 GB, but .* takes at most [\d.]+ [GM]B as one\.$/,
  );
  t.is(error.exitCode, ExitCode.userError);
  await engine.withShapes(async (twin) => {
    t.throws(() => twin.tf.fill([70_000, 70_000], 0), { instanceOf: TensorTooLargeError }, 'a dry run finds it, too');
  });
  t.is(engine.tf.memory().numTensors, numTensors);
});

// Not on a GPU: other programs may need its memory.
withEngine('webgpu', !process.env['FCN_TEST_GPU'])(
  'memory that runs out ends with a message, and what was there stays',
  async (t, engine) => {
    const { tf } = engine;
    const x = tf.tensor1d([1, 2, 3]);
    const held: Tensor[] = [];
    const error = t.throws(() => {
      // Software adapters have 1 GiB for each allocation at most, their own additions included; GPUs run out later.
      for (let count = 0; count < 400; count++) held.push(tf.fill([2 ** 28 - 64], 0));
    });
    t.true(error instanceof GpuMemoryError, error?.message);
    t.true(engine.isOutOfMemory(error!));
    t.regex(error!.message, /is out of memory: [\d.]+ GB more were needed/);
    tf.dispose(held);
    t.deepEqual([...x.dataSync()], [1, 2, 3]);
    x.dispose();
  },
);

onWebgpu('a twin counts the same tensors and computes nothing', async (t, engine) => {
  const kernels = createKernels(engine);
  const before = engine.gpu!.allocatedBytes;
  await engine.withShapes(async (twin) => {
    const x = twin.tf.fill([1, 4096, 4096, 8], 1) as ReturnType<typeof engine.tf.tensor4d>;
    const y = createKernels(twin).relu(x);
    t.is(liveTensors(twin).bytes, 2 * 4 * 2 ** 27);
    t.deepEqual(y.shape, [1, 4096, 4096, 8]);
    twin.tf.dispose([x, y]);
  });
  t.is(engine.gpu!.allocatedBytes, before);
  t.is(kernels.allFinite([]), true);
});

// Last: it leaves no device.
onWebgpu('a lost device ends the work with 75: the same command may succeed later', async (t, engine) => {
  const { tf } = engine;
  const x = tf.tensor1d([1, 2, 3]);
  engine.gpu!.destroyDevice();
  await new Promise((resolve) => setTimeout(resolve, 10));
  const error = t.throws(() => tf.add(x, 1).dataSync(), { instanceOf: DeviceLostError });
  t.is(error.exitCode, ExitCode.tryAgain);
  t.regex(error.message, /was lost \(/);
});
