import type { Tensor } from '@tensorflow/tfjs-core';
import test, { type ExecutionContext } from 'ava';
import type { Engine } from '../../../src/engines/engine.js';
import type { Kernels } from '../../../src/kernels/kernels.js';
import { assertClose, integers, normals } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import { execute, type Hosts, image, labelMap, type TensorsOf, vector } from './subject.js';

/** Layers as wide as real ones, too large for a float64 reference. Native code splits inputs of 1024 channels. */
const LAYERS = [
  { shape: [2, 45, 62, 3], kernel: 7, outputs: 64, stride: 2, dilation: 1, padding: 3 },
  { shape: [2, 45, 62, 64], kernel: 3, outputs: 64, stride: 1, dilation: 1, padding: 1 },
  { shape: [2, 45, 62, 64], kernel: 3, outputs: 128, stride: 2, dilation: 1, padding: 1 },
  { shape: [2, 17, 33, 256], kernel: 1, outputs: 512, stride: 2, dilation: 1, padding: 0 },
  { shape: [1, 17, 33, 256], kernel: 3, outputs: 128, stride: 1, dilation: 2, padding: 2 },
  { shape: [1, 17, 33, 128], kernel: 3, outputs: 128, stride: 1, dilation: 12, padding: 12 },
  { shape: [1, 9, 16, 1024], kernel: 3, outputs: 64, stride: 1, dilation: 1, padding: 1 },
  { shape: [1, 9, 16, 1024], kernel: 3, outputs: 64, stride: 1, dilation: 6, padding: 6 },
] as const;

/** Of the largest: four times what was measured, which grows with the number of values in a sum. */
const LIMITS = { convolution: 9e-6, batchNorm: 6e-7, maxPool: 6e-7, resize: 9e-6, crossEntropy: 1.9e-6 } as const;

/** Declares tests that the native and the portable kernels of one engine agree. */
export function compareKernels(engine: Engine, native: Kernels, portable: Kernels): void {
  function agree<H extends Hosts>(
    t: ExecutionContext,
    kernel: keyof typeof LIMITS,
    inputs: H,
    call: (kernels: Kernels, tensors: TensorsOf<H>) => Readonly<Record<string, Tensor>>,
  ): void {
    const run = (name: string, kernels: Kernels) =>
      execute(t, { name, tf: engine.tf, kernels }, inputs, (tensors) => call(kernels, tensors));
    const actual = run('native', native);
    const expected = run('portable', portable);
    for (const key of Object.keys(expected)) {
      assertClose(t, actual[key]!, expected[key]!, { ofLargest: LIMITS[kernel] }, key);
    }
  }

  for (const { shape, kernel, outputs, ...geometry } of LAYERS) {
    const { stride, dilation } = geometry;
    test(`native against portable: ${kernel}×${kernel} of ${shape.join('×')}, stride ${stride}, dilation ${dilation}`, (t) => {
      const filterShape = [kernel, kernel, shape[3], outputs] as const;
      const yShape = reference.convolutionShape(shape, filterShape, geometry);
      const inputs = {
        x: image(normals(1, reference.size(shape)), shape),
        filter: image(normals(2, reference.size(filterShape), 0, 0.05), filterShape),
        bias: vector(normals(3, outputs)),
        gradient: image(normals(4, reference.size(yShape)), yShape),
      };
      agree(t, 'convolution', inputs, (kernels, { x, filter, bias, gradient }) => ({
        y: kernels.convolution(x, filter, geometry),
        activated: kernels.convolutionBias(x, filter, bias, geometry, true),
        'input gradient': kernels.convolutionInputGradient(gradient, filter, shape, geometry),
        'filter gradient': kernels.convolutionFilterGradient(gradient, x, filterShape, geometry),
      }));
    });
  }

  test('native against portable: batch norm', (t) => {
    const shape = [2, 40, 61, 64] as const;
    const inputs = {
      x: image(normals(5, reference.size(shape), 0.3, 2), shape),
      gamma: vector(normals(6, 64, 1, 0.2)),
      beta: vector(normals(7, 64)),
      gradient: image(normals(8, reference.size(shape)), shape),
    };
    agree(t, 'batchNorm', inputs, (kernels, { x, gamma, beta, gradient }) => {
      const normalisation = { gamma, beta, epsilon: 1e-5 };
      const { y, statistics } = kernels.batchNorm(x, normalisation, { relu: true });
      const again = kernels.batchNormApply(x, normalisation, statistics, { relu: false, residual: gradient });
      const backward = kernels.batchNormGradient(gradient, x, normalisation, statistics, y);
      return {
        y,
        again,
        ...statistics,
        'x gradient': backward.x,
        'γ gradient': backward.gamma,
        'β gradient': backward.beta,
      };
    });
  });

  test('native against portable: max pool of a ReLU’s output', (t) => {
    const shape = [2, 45, 62, 16] as const;
    const yShape = reference.poolShape(shape);
    const x = normals(9, reference.size(shape)).map((value) => Math.max(value, 0));
    const inputs = { x: image(x, shape), gradient: image(normals(10, reference.size(yShape)), yShape) };
    agree(t, 'maxPool', inputs, (kernels, { x, gradient }) => {
      const y = kernels.maxPool(x);
      return { y, 'x gradient': kernels.maxPoolGradient(gradient, x, y) };
    });
  });

  for (const alignCorners of [false, true]) {
    test(`native against portable: resize, ${alignCorners ? 'aligned corners' : 'half-pixel centres'}`, (t) => {
      const [shape, yShape] = [[2, 32, 49, 19] as const, [2, 256, 385, 19] as const];
      const inputs = {
        x: image(normals(11, reference.size(shape)), shape),
        gradient: image(normals(12, reference.size(yShape)), yShape),
      };
      agree(t, 'resize', inputs, (kernels, { x, gradient }) => ({
        y: kernels.resizeBilinear(x, [256, 385], alignCorners),
        'x gradient': kernels.resizeBilinearGradient(gradient, [32, 49], alignCorners),
      }));
    });
  }

  test('native against portable: cross-entropy', (t) => {
    const shape = [2, 60, 80, 19] as const;
    const labels = integers(14, 2 * 60 * 80, 0, 22).map((label) => (label < 19 ? label : 255));
    const inputs = {
      logits: image(normals(13, reference.size(shape), 0, 4), shape),
      labels: labelMap(labels, [2, 60, 80]),
    };
    agree(t, 'crossEntropy', inputs, (kernels, { logits, labels }) => ({
      ...kernels.crossEntropy(logits, labels, 255),
    }));
  });
}
