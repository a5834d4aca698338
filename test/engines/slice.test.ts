import type { DataType } from '@tensorflow/tfjs-core';
import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import { Draws, Purpose } from '../../src/support/random.js';

/** The elements of a slice of [0, 1, 2, …] in the given shape, each by its own index. */
function expected(shape: readonly number[], begin: readonly number[], size: readonly number[]): number[] {
  let indices = [0];
  shape.forEach((extent, axis) => {
    indices = indices.flatMap((index) =>
      Array.from({ length: size[axis]! }, (_, i) => index * extent + begin[axis]! + i),
    );
  });
  return indices;
}

test('slices of any shape, of one to five axes, and of each type', async (t) => {
  const { tf } = await startEngine({ engine: 'wasm' });
  const draws = new Draws(0, Purpose.generate, 0);
  let draw = 0;
  const integer = (below: number) => Math.floor(draws.uniform(draw++) * below);
  for (let round = 0; round < 300; round++) {
    const shape = Array.from({ length: 1 + integer(5) }, () => 1 + integer(6));
    const begin = shape.map((extent) => integer(extent));
    // Often whole axes, which make runs longer; sometimes an empty slice.
    const size = shape.map((extent, axis) => {
      if (integer(2) === 0) begin[axis] = 0;
      return begin[axis] === 0 && integer(3) > 0 ? extent : integer(extent - begin[axis]! + 1);
    });
    const dtype: DataType = (['float32', 'int32', 'bool'] as const)[integer(3)]!;
    const indices = expected(shape, begin, size);
    const values = (index: number) => (dtype === 'bool' ? index % 2 : index);
    tf.tidy(() => {
      const count = shape.reduce((product, extent) => product * extent, 1);
      const x = tf.tensor(
        Array.from({ length: count }, (_, i) => values(i)),
        shape,
        dtype,
      );
      const slice = tf.slice(x, begin, size);
      t.deepEqual(slice.shape, size);
      t.is(slice.dtype, dtype);
      t.deepEqual([...slice.dataSync()], indices.map(values), `${shape} from ${begin}, ${size}`);
    });
  }
});

test('sizes may be left out, and a slice that overflows is refused', async (t) => {
  const { tf } = await startEngine({ engine: 'wasm' });
  tf.tidy(() => {
    const x = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
    t.deepEqual([...tf.slice(x, 1).dataSync()], [4, 5, 6]);
    t.deepEqual([...tf.slice(x, [0, 1], [-1, 2]).dataSync()], [2, 3, 5, 6]);
    t.throws(() => tf.slice(x, [1, 0], [2, 3]), { message: /would overflow/ });
  });
});

test('a slice takes no memory but its own', async (t) => {
  const { tf } = await startEngine({ engine: 'wasm' });
  const x = tf.zeros([64, 1024, 64]);
  const before = process.memoryUsage().arrayBuffers;
  const slices = Array.from({ length: 20 }, (_, i) => tf.slice(x, [0, i, 0], [64, 1, 64]));
  t.true(process.memoryUsage().arrayBuffers - before < 2 ** 24);
  tf.dispose([x, ...slices]);
});
