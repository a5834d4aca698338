import type { Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels.js';
import type { TensorFlow } from './window.js';

/** Bilinear resize and its gradient, in both alignment modes. */
export function resizeKernels(tf: TensorFlow): Pick<Kernels, 'resizeBilinear' | 'resizeBilinearGradient'> {
  function resizeBilinear(x: Tensor4D, [height, width]: readonly [number, number], alignCorners: boolean): Tensor4D {
    return tf.image.resizeBilinear(x, [height, width], alignCorners, !alignCorners);
  }

  /** Along the first axis: [from, …] → [to, …]. */
  function shrink(gradient: Tensor3D, to: number, alignCorners: boolean): Tensor3D {
    const [from, columns, channels] = gradient.shape;
    return tf.tidy(() => {
      const matrix = tf.tensor2d(transposedInterpolation(to, from, alignCorners), [to, from]);
      const flat = tf.reshape(gradient, [from, columns * channels]) as Tensor2D;
      return tf.reshape(tf.matMul(matrix, flat), [to, columns, channels]) as Tensor3D;
    });
  }

  /**
   * Resizing is linear and separable, R·X·Cᵀ, so its gradient is Rᵀ·G·C: two products with dense matrices. Done for each
   * image, because products of stacks are slow on the WebAssembly backend. TensorFlow.js's own gradient is wrong for
   * half-pixel centres.
   */
  function resizeBilinearGradient(
    gradient: Tensor4D,
    [height, width]: readonly [number, number],
    alignCorners: boolean,
  ): Tensor4D {
    const [images, outputHeight, outputWidth, channels] = gradient.shape;
    return tf.tidy(() => {
      const results = Array.from({ length: images }, (_, image) =>
        tf.tidy(() => {
          const slice = tf.slice4d(gradient, [image, 0, 0, 0], [1, outputHeight, outputWidth, channels]);
          const whole = tf.reshape(slice, [outputHeight, outputWidth, channels]) as Tensor3D;
          const rows = tf.transpose(shrink(whole, height, alignCorners), [1, 0, 2]);
          const both = tf.transpose(shrink(rows, width, alignCorners), [1, 0, 2]);
          return tf.reshape(both, [1, height, width, channels]) as Tensor4D;
        }),
      );
      return tf.concat4d(results, 0);
    });
  }

  return { resizeBilinear, resizeBilinearGradient };
}

/**
 * The matrix of a bilinear resize along one axis, transposed: [input size, output size], row-major, so that it times the
 * output's gradient is the input's. Column d holds the weights of the two input pixels around the source of output
 * pixel d (`Kernels.resizeBilinear` says where that is). Sources are computed in float64.
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
