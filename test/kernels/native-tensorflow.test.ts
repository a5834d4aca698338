import type { Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import type { Normalisation } from '../../src/kernels/kernels.js';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';
import { testOnEngine } from './suites/all.js';

await testOnEngine('tensorflow', 'native kernels on TensorFlow', (engine) => tensorflowKernels(engine));

/** The package's own operations are for processors. */
const onProcessor =
  hasEngine('tensorflow') && (await startTestEngine('tensorflow')).device === 'cpu' ? test : test.skip;

onProcessor('what an operation cannot take is an error that says so, and not a wrong result', async (t) => {
  const engine = await startTestEngine('tensorflow');
  const { tf } = engine;
  const kernels = tensorflowKernels(engine);
  const logits: Tensor4D = tf.zeros([1, 2, 2, 3]);
  const wide: Tensor4D = tf.zeros([1, 1, 2, 3]);
  const labels = (values: number[]) => tf.tensor3d(values, [1, 2, 2], 'int32');
  t.throws(() => kernels.crossEntropy(logits, labels([0, 1, 2, 3]), 255), {
    message: /neither a class nor the ignored/,
  });
  t.throws(() => kernels.crossEntropy(wide, labels([0, 1, 2, 255]), 255), { message: /same pixels/ });
  const normalisation: Normalisation = { gamma: tf.ones([2]), beta: tf.zeros([2]), epsilon: 1e-5 };
  t.throws(() => kernels.batchNorm(logits, normalisation, { relu: true }), { message: /one value a channel/ });
  t.throws(() => kernels.maxPoolGradient(wide, logits, wide), { message: /half as high and wide/ });
  t.throws(() => kernels.maxPoolGradient(logits, logits, wide), { message: /the last two of one shape/ });
});
