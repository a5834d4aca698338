import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import { WasmMemoryError } from '../../src/engines/wasm/allocation.js';
import { portableKernels } from '../../src/kernels/portable/index.js';

interface Backend {
  makeOutput(shape: number[], dtype: 'float32'): Tensor;
}

/** Allocates until not even a tensor of `least` bytes fits. Writes nothing, so the system provides no pages. */
function fill(backend: Backend, least: number): void {
  for (let bytes = 2 ** 30; bytes >= least; bytes /= 2) {
    try {
      for (;;) backend.makeOutput([bytes / 4], 'float32');
    } catch (error) {
      if (!(error instanceof WasmMemoryError)) throw error;
    }
  }
}

// One after the other, since they use the same memory.
test.serial('a failed allocation of a tensor is an error, and older tensors keep their values', async (t) => {
  const { tf } = await startEngine({ engine: 'wasm' });
  const backend = tf.backend() as unknown as Backend;
  const values = Float32Array.from({ length: 1000 }, (_, i) => i);
  const older = tf.tensor1d(values);
  // 4 GiB and a little more, of which 32 bits keep only the little.
  for (const shape of [[2 ** 30 + 4], [2 ** 14, 2 ** 16, 3]]) {
    const error = t.throws(() => backend.makeOutput(shape, 'float32'), { instanceOf: WasmMemoryError });
    t.regex(
      error.message,
      /^The wasm engine is out of memory \(for a tensor of \d+\.\d\d GB\): it has .*4\.00 GB at most/,
    );
    t.is(error.exitCode, 2);
  }
  fill(backend, 2 ** 20);
  t.throws(() => tf.tensor1d(new Float32Array(2 ** 21)), {
    instanceOf: WasmMemoryError,
    message: /a tensor of 8\.0 MB/,
  });
  t.throws(() => tf.zeros([2 ** 21]), { instanceOf: WasmMemoryError });
  t.throws(() => tf.tile(older, [4000]), { instanceOf: WasmMemoryError });
  t.deepEqual(older.dataSync(), values);
  const sum = tf.sum(older);
  t.is(sum.dataSync()[0], 499500, 'what fits is computed on');
});

test.serial('a failed allocation in a kernel ends all computing', async (t) => {
  const { tf } = await startEngine({ engine: 'wasm' });
  const backend = tf.backend() as unknown as Backend;
  const kernels = portableKernels(tf);
  // The kernel needs as much memory again for the packed filter.
  const free = backend.makeOutput([2 ** 17], 'float32');
  fill(backend, 64);
  tf.engine().makeTensorFromTensorInfo(free).dispose();
  const x: Tensor4D = tf.ones([1, 8, 8, 64]);
  const filter: Tensor4D = tf.ones([3, 3, 64, 128]);
  const geometry = { stride: 1, dilation: 1, padding: 1 };
  const failing = () => kernels.convolution(x, filter, geometry);
  t.throws(failing, { instanceOf: WasmMemoryError, message: /out of memory \(in Conv2D\)/ });
  tf.dispose(filter);
  t.throws(() => tf.add(x, x), { instanceOf: WasmMemoryError, message: /in Conv2D/ }, 'what it has written is unknown');
});
