import test from 'ava';
import type { ConvolutionShape } from '../../src/kernels/kernels.js';
import { timePaths } from '../../src/kernels/tensorflow/time-paths.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';

const engine = hasEngine('tensorflow') ? await startTestEngine('tensorflow') : null;
const whereFast = engine?.convolution === 'fast' ? test.serial : test.serial.skip;

const one = { of: 'convolution', output: [48, 48], channels: [16, 16], dilation: 1, images: 1, isHalf: false } as const;
/** F(2×2) has the fewest operations, F(4×4) more than the direct path. */
const dilated = { ...one, output: [24, 24], channels: [512, 512], dilation: 12 } as const;
/** Both have fewer than the direct path, F(4×4) the fewest. */
const plain = { ...one, channels: [64, 64] } as const;

/** So many pairs of times, of which the direct one's is 1. */
const pairs = (count: number, time: number) => Array.from({ length: count }, () => [time, 1]).flat();

/** A clock by which the pieces of work take these seconds, a path and the direct one in turn; each is done if `works`. */
function clock(times: readonly number[], works = false) {
  const left = [...times];
  const seconds = (work: () => void) => {
    if (works) work();
    return left.shift()!;
  };
  return { seconds, left };
}

whereFast('a path that is as fast as the direct one the first time is taken, and not timed again', (t) => {
  const { seconds, left } = clock([1, 1]);
  t.deepEqual(timePaths(engine!, plain, seconds), { path: 'F(4×4)', counted: 'F(4×4)', ofDirect: 1 });
  t.is(left.length, 0);
});

whereFast(
  'the best times count: a slow repetition decides nothing, and less than a clear loss changes nothing',
  (t) => {
    const noisy = clock([9, 1, 9, 1, 0.9, 1]);
    t.deepEqual(timePaths(engine!, plain, noisy.seconds), { path: 'F(4×4)', counted: 'F(4×4)', ofDirect: 0.9 });
    t.is(noisy.left.length, 0);
    const close = clock([9, 1, 1.1, 1, ...pairs(13, 9)]);
    t.deepEqual(timePaths(engine!, plain, close.seconds), { path: 'F(4×4)', counted: 'F(4×4)', ofDirect: 1.1 });
    // Its best is worse than the direct path's best, but it lost only 11 of 15 pairs.
    const slowPairs = Array.from({ length: 4 }, () => [1.2, 1.3]).flat();
    const lucky = clock([...pairs(11, 1.2), ...slowPairs]);
    t.deepEqual(timePaths(engine!, plain, lucky.seconds), { path: 'F(4×4)', counted: 'F(4×4)', ofDirect: 1.2 });
    t.is(close.left.length + lucky.left.length, 0);
  },
);

whereFast(
  'a path that loses clearly in the best of fifteen pairs gives way to the next one, or to the direct path',
  (t) => {
    const loss = pairs(15, 1.2);
    const second = clock([...loss, 0.9, 1]);
    t.deepEqual(timePaths(engine!, plain, second.seconds), { path: 'F(2×2)', counted: 'F(4×4)', ofDirect: 1.2 });
    const none = clock([...loss, ...loss]);
    t.like(timePaths(engine!, plain, none.seconds), { path: 'direct', counted: 'F(4×4)' });
    const only = clock(loss);
    t.like(timePaths(engine!, dilated, only.seconds), { path: 'direct', counted: 'F(2×2)' });
    t.is(second.left.length + none.left.length + only.left.length, 0);
  },
);

whereFast('what only the direct path computes is not timed', (t) => {
  const { seconds } = clock([]);
  t.is(timePaths(engine!, { ...one, channels: [3, 64] }, seconds), null);
  t.is(timePaths(engine!, { ...one, output: [1, 1] }, seconds), null);
});

whereFast('convolutions and both gradients are timed as they are computed, and leave no tensor', (t) => {
  const half = engine!.halfPrecision === 'bf16' && engine!.halfSpeed === 2;
  const before = engine!.tf.memory().numTensors;
  for (const of of ['convolution', 'input gradient', 'filter gradient'] as const) {
    for (const isHalf of half ? [false, true] : [false]) {
      const shape: ConvolutionShape = {
        ...plain,
        of,
        channels: [64, 128],
        isHalf,
        images: of === 'filter gradient' ? 2 : 1,
      };
      const { seconds, left } = clock([2, 1, 1, 2], true);
      t.like(timePaths(engine!, shape, seconds), { counted: 'F(4×4)', ofDirect: 1 });
      t.is(left.length, 0);
    }
  }
  t.is(engine!.tf.memory().numTensors, before);
});
