import test from 'ava';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { startTestEngine } from '../helpers/engines.js';
import { halfTests } from './suites/half.js';

const engine = await startTestEngine('tensorflow');
if (engine === null) {
  test('kernels in 16 bits: not tested', (t) => {
    t.log('The tensorflow engine is not installed; run fcn engines install.');
    t.pass();
  });
} else {
  const { tf, halfPrecision } = engine;
  // TensorFlow computes in float16 on any device, slowly on processors: what runs on GPUs is tested here, too.
  halfTests({ name: "TensorFlow's own kernels", tf, kernels: tensorflowKernels(engine, { stock: true }) }, 'fp16');
  if (halfPrecision === 'bf16') halfTests({ name: 'native kernels', tf, kernels: tensorflowKernels(engine) }, 'bf16');
}
