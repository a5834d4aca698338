import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels.js';
import type { Operations } from './operations.js';

/** Max pool 3×3, stride 2, padding 1, and its gradient. */
export function maxPoolKernels(operations: Operations): Pick<Kernels, 'maxPool' | 'maxPoolGradient'> {
  const attributes = (x: Tensor4D) => [
    operations.typeOf(x),
    operations.attribute('ksize', [1, 3, 3, 1]),
    operations.attribute('strides', [1, 2, 2, 1]),
    // TensorFlow's SAME pads only at the end for even sizes; the published models pad both sides.
    operations.attribute('padding', 'EXPLICIT'),
    operations.attribute('explicit_paddings', [0, 0, 1, 1, 1, 1, 0, 0]),
    operations.attribute('data_format', 'NHWC'),
  ];
  return {
    maxPool: (x) => operations.run('MaxPool', attributes(x), [x]),
    maxPoolGradient: (gradient, x, y) => operations.run('MaxPoolGrad', attributes(x), [x, y, gradient]),
  };
}

/** Bilinear resize and its gradient, in both alignment modes. */
export function resizeKernels(operations: Operations): Pick<Kernels, 'resizeBilinear' | 'resizeBilinearGradient'> {
  const { tf } = operations.engine;
  const attributes = (x: Tensor4D, alignCorners: boolean) => [
    operations.typeOf(x),
    operations.attribute('align_corners', alignCorners),
    operations.attribute('half_pixel_centers', !alignCorners),
  ];
  return {
    resizeBilinear: (x, size, alignCorners) =>
      operations.withIntegers([size], (target) =>
        operations.run('ResizeBilinear', attributes(x, alignCorners), [x, target!]),
      ),
    resizeBilinearGradient: (gradient, [height, width], alignCorners) => {
      // The operation reads only the shape of its second input.
      const input: Tensor4D = tf.zeros([gradient.shape[0], height, width, gradient.shape[3]]);
      const result: Tensor4D = operations.run('ResizeBilinearGrad', attributes(input, alignCorners), [gradient, input]);
      input.dispose();
      return result;
    },
  };
}
