import test from 'ava';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';
import { halfTests } from './suites/half.js';

if (!hasEngine('tensorflow')) test.skip('every kernel in 16 bits', (t) => t.fail());
else {
  const engine = await startTestEngine('tensorflow');
  const { tf, halfPrecision } = engine;
  // TensorFlow computes in float16 on any device, slowly on processors: what runs on GPUs is tested here, too.
  halfTests({ name: "TensorFlow's own kernels", tf, kernels: tensorflowKernels(engine, { stock: true }) }, 'fp16');
  if (halfPrecision === 'bf16') halfTests({ name: 'native kernels', tf, kernels: tensorflowKernels(engine) }, 'bf16');
  else test.skip('every native kernel in bfloat16, which this machine does not convolve', (t) => t.fail());
}
