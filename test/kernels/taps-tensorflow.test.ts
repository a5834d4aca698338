import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Shape4D } from '../../src/kernels/kernels.js';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { withEngine } from '../helpers/engines.js';
import { assertClose, normals } from '../helpers/numeric.js';

const onEngine = withEngine('tensorflow');

const CASES = [
  { what: 'a stride', input: [2, 9, 12, 6], kernel: 3, outputs: 5, geometry: { stride: 2, dilation: 1, padding: 1 } },
  {
    what: 'a projection',
    input: [2, 8, 10, 6],
    kernel: 1,
    outputs: 7,
    geometry: { stride: 2, dilation: 1, padding: 0 },
  },
  { what: 'a dilation', input: [1, 9, 11, 4], kernel: 3, outputs: 3, geometry: { stride: 1, dilation: 2, padding: 2 } },
  { what: 'a stem', input: [2, 14, 16, 3], kernel: 7, outputs: 4, geometry: { stride: 2, dilation: 1, padding: 3 } },
] as const;

for (const { what, input, kernel, outputs, geometry } of CASES) {
  onEngine(`filter gradients tap by tap are those of TensorFlow: ${what}`, async (t, engine) => {
    const { tf } = engine;
    const kernels = tensorflowKernels(engine);
    const byTaps = tensorflowKernels(engine, { anyThreads: true });
    const random = (seed: number, shape: Shape4D): Tensor4D => {
      const values = normals(
        seed,
        shape.reduce((product, size) => product * size, 1),
      );
      return tf.tensor4d(Float32Array.from(values), [...shape]);
    };
    const before = tf.memory().numTensors;
    const shape = [kernel, kernel, input[3], outputs] as const;
    const [x, filter] = [random(1, input), random(2, shape)];
    const y = kernels.convolution(x, filter, geometry);
    const gradient = random(3, y.shape);
    const expected = kernels.convolutionFilterGradient(gradient, x, shape, geometry);
    const found = byTaps.convolutionFilterGradient(gradient, x, shape, geometry);
    t.deepEqual(found.shape, [...shape]);
    // Other orders of sums: a few roundings of float32.
    assertClose(t, found.dataSync(), expected.dataSync(), { ofLargest: 1e-6 });
    for (const tensor of [x, filter, y, gradient, expected, found]) tensor.dispose();
    t.is(tf.memory().numTensors, before);
  });
}
