import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { NonFiniteOutputError } from '../../src/network/overflow.js';
import { withEngine } from '../helpers/engines.js';
import { logitsOf, overflowSuite } from './suites/overflow.js';

overflowSuite('tensorflow', ['fp32', 'bf16']);

withEngine('tensorflow')(
  'in float16, which ends at 65,504, every convolution and sum is looked at',
  async (t, engine) => {
    // As on GPUs, the only hardware that convolves float16 at full rate.
    const kernels = tensorflowKernels(engine, { stock: true });
    let looked = 0;
    const noting = {
      ...kernels,
      allFinite: (tensors: Parameters<typeof kernels.allFinite>[0]) => {
        looked++;
        return kernels.allFinite(tensors);
      },
      allFiniteLater: (tensors: Parameters<typeof kernels.allFinite>[0]) => {
        looked++;
        return kernels.allFiniteLater(tensors);
      },
    };
    const logits = await logitsOf(engine, noting, 18, {}, 'fp16');
    t.true(logits.every(Number.isFinite));
    // Of 26 convolutions the filter and the bias, when they are folded; the output of each, and 8 sums, in the pass.
    t.is(looked, 2 * 26 + 26 + 8);
    const large = { 'backbone.layer3.0.conv2.weight': (values: Float32Array) => values.fill(-6e4) };
    await t.throwsAsync(logitsOf(engine, kernels, 18, large, 'fp16'), {
      instanceOf: NonFiniteOutputError,
      message: /^The output of backbone\.layer3\.0\.conv2 is not finite/,
    });
  },
);
