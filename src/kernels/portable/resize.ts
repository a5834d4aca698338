import type { Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ResizeKernels } from '../kernels.js';
import type { TensorFlow } from './window.js';

/** In place of values that nobody reads. */
const NO_VALUES = new Float32Array();

/** Bilinear resize and its gradient, in both alignment modes. @param isTwin As `Engine.isTwin`. */
export function portableResizeKernels(tf: TensorFlow, isTwin: boolean): ResizeKernels {
  /** Along the first axis: [from, …] → [to, …]. */
  function shrink(gradient: Tensor3D, to: number, alignCorners: boolean): Tensor3D {
    const [from, columns, channels] = gradient.shape;
    return tf.tidy(() => {
      const values = isTwin ? NO_VALUES : transposedInterpolation(to, from, alignCorners);
      const matrix = tf.tensor2d(values, [to, from]);
      const flat: Tensor2D = tf.reshape(gradient, [from, columns * channels]);
      return tf.reshape(tf.matMul(matrix, flat), [to, columns, channels]);
    });
  }

  return {
    resizeBilinear: (x, size, alignCorners) => tf.image.resizeBilinear(x, [...size], alignCorners, !alignCorners),

    /**
     * Resizing is linear and separable, R·X·Cᵀ, so its gradient is Rᵀ·G·C: two products with dense matrices. Each image has
     * its own, because products of stacks are slow on the WebAssembly backend. TensorFlow.js's own gradient is wrong for
     * half-pixel centres.
     */
    resizeBilinearGradient(gradient, [height, width], alignCorners) {
      const [images, outputHeight, outputWidth, channels] = gradient.shape;
      return tf.tidy(() => {
        const results = Array.from({ length: images }, (_, image) =>
          tf.tidy(() => {
            const slice = tf.slice4d(gradient, [image, 0, 0, 0], [1, outputHeight, outputWidth, channels]);
            const whole: Tensor3D = tf.reshape(slice, [outputHeight, outputWidth, channels]);
            const rows = tf.transpose(shrink(whole, height, alignCorners), [1, 0, 2]);
            const both = tf.transpose(shrink(rows, width, alignCorners), [1, 0, 2]);
            return tf.reshape(both, [1, height, width, channels]) as Tensor4D;
          }),
        );
        return tf.concat4d(results, 0);
      });
    },
  };
}

/**
 * The matrix of a bilinear resize along one axis, transposed: [input size, output size], row-major, so that its product with the
 * output's gradient is the input's. Column d holds the weights of the two input pixels around the source of output
 * pixel d (see `ResizeKernels`). Sources are computed in float64.
 */
function transposedInterpolation(inputSize: number, outputSize: number, alignCorners: boolean): Float32Array {
  const matrix = new Float64Array(inputSize * outputSize);
  const alignedScale = outputSize > 1 ? (inputSize - 1) / (outputSize - 1) : 0;
  for (let d = 0; d < outputSize; d++) {
    const source = alignCorners ? d * alignedScale : Math.max(((d + 0.5) * inputSize) / outputSize - 0.5, 0);
    const lower = Math.min(Math.floor(source), inputSize - 1);
    const upper = Math.min(lower + 1, inputSize - 1);
    const weight = source - lower;
    matrix[lower * outputSize + d]! += 1 - weight;
    matrix[upper * outputSize + d]! += weight;
  }
  return Float32Array.from(matrix);
}
