import type { Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import type { Kernels } from '../../src/kernels/kernels.js';
import { complexity } from '../../src/network/complexity.js';
import { resolve } from '../../src/recipe/resolve.js';
import { noPause } from '../../src/support/pauses.js';
import { TrainingStep } from '../../src/training/step.js';

/** Counts the operations of the convolutions that are really done: two for each weight of the filter at each pixel. */
function counting(kernels: Kernels) {
  const flops = { forward: 0, gradients: 0 };
  const operations = (output: Tensor4D['shape'], filter: readonly number[]) =>
    2 * output[0] * output[1] * output[2] * filter.reduce((product, size) => product * size, 1);
  const counted: Kernels = {
    ...kernels,
    convolution(x, filter, geometry) {
      const y = kernels.convolution(x, filter, geometry);
      flops.forward += operations(y.shape, filter.shape);
      return y;
    },
    convolutionBias(x, filter, ...rest) {
      const y = kernels.convolutionBias(x, filter, ...rest);
      flops.forward += operations(y.shape, filter.shape);
      return y;
    },
    convolutionInputGradient(gradient, filter, ...rest) {
      flops.gradients += operations(gradient.shape, filter.shape);
      return kernels.convolutionInputGradient(gradient, filter, ...rest);
    },
    convolutionFilterGradient(gradient, x, filterShape, geometry) {
      flops.gradients += operations(gradient.shape, filterShape);
      return kernels.convolutionFilterGradient(gradient, x, filterShape, geometry);
    },
  };
  return { counted, flops };
}

const STRUCTURES = [
  'fcn_r18-d8_512x1024_80k_cityscapes',
  'fcn_r18b-d8_769x769_80k_cityscapes',
  'fcn_r50-d8_512x1024_40k_cityscapes',
  'fcn_r101-d8_512x512_80k_ade20k',
  'fcn_d6_r50-d16_769x769_40k_cityscapes',
];

for (const row of STRUCTURES) {
  test.serial(`the operations and parameters of ${row} are those of a training step`, async (t) => {
    const engine = await startEngine({ engine: 'wasm' });
    const experiment = resolve({ row, overrides: ['pretrained=null'] });
    const [height, width] = experiment.data.cropHw;
    await engine.withShapes(async (twin) => {
      const step = new TrainingStep(twin, experiment);
      const { parameters, kernels } = step.segmentor;
      for (const { path, shape } of parameters.specs) parameters.set(path, twin.tf.fill([...shape], 0));
      const { counted, flops } = counting(kernels);
      const batch = { count: 1, height, width, images: new Float32Array(), labels: new Int32Array(), names: [] };
      let trained = 0;
      const update = (_path: string, gradient: { readonly size: number; dispose(): void }) => {
        trained += gradient.size;
        gradient.dispose();
      };
      const { tape, images, losses } = await step.forward(batch, 0, { kernels: counted, update, pause: noPause });
      await tape.backward(noPause);
      images.release();
      losses.dispose();
      step.dispose();
      const expected = complexity(experiment.model, [height, width]);
      t.is(flops.forward, expected.trainingForwardFlops);
      t.is(flops.forward + flops.gradients, expected.trainingFlops);
      t.is(trained, expected.parameters);
    });
  });
}
