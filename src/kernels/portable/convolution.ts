import type { Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import { type ConvolutionGeometry, type ConvolutionKernels, type Shape4D, thenDispose } from '../kernels.js';
import { frame, phase, type TensorFlow } from './window.js';

/**
 * Convolution and its gradients. The input gradient is itself a convolution, the filter gradient one matrix product for
 * each tap of the filter; neither needs a backward operation of the backend, and both take any stride and dilation.
 */
export function portableConvolutionKernels(tf: TensorFlow): ConvolutionKernels {
  return {
    convolution: (x, filter, { stride, dilation, padding }) =>
      tf.conv2d(x, filter, stride, symmetric(padding), 'NHWC', dilation),

    convolutionBias(x, filter, bias, { stride, dilation, padding }, relu, residual) {
      const isLast = residual === undefined;
      const y = tf.fused.conv2d({
        x,
        filter,
        strides: stride,
        pad: symmetric(padding),
        dilations: dilation,
        bias,
        activation: relu && isLast ? 'relu' : 'linear',
      });
      if (isLast) return y;
      const sum = thenDispose(tf.add<Tensor4D>(y, residual), y);
      return relu ? thenDispose(tf.relu(sum), sum) : sum;
    },

    /**
     * Input pixel s·h + d·i − p meets output pixel h at tap i. So with the gradient spread by the stride s, input pixel y
     * collects tap i from the spread gradient's pixel y + p − d·i: a convolution with the turned filter, dilation d, over
     * a frame that starts d·(k − 1) − p before it and ends where the input does. Input that no tap has met gets 0.
     */
    convolutionInputGradient(gradient, filter, [, height, width], { stride, dilation, padding }) {
      const reachY = dilation * (filter.shape[0] - 1);
      const reachX = dilation * (filter.shape[1] - 1);
      const rows = { before: reachY - padding, size: height + reachY };
      const columns = { before: reachX - padding, size: width + reachX };
      return tf.tidy(() => {
        const framed = tf.tidy(() => frame(tf, spread(tf, gradient, stride), rows, columns));
        return tf.conv2d(framed, transposedFilter(tf, filter), 1, 'valid', 'NHWC', dilation);
      });
    },

    convolutionFilterGradient: (gradient, x, filterShape, geometry) =>
      tf.tidy(() => filterGradient(tf, gradient, x, filterShape, geometry)),
  };
}

function symmetric(padding: number): [[number, number], [number, number], [number, number], [number, number]] {
  return [
    [0, 0],
    [padding, padding],
    [padding, padding],
    [0, 0],
  ];
}

/** The filter turned by 180° with its channels swapped: [kh,kw,I,O] → [kh,kw,O,I]. */
function transposedFilter(tf: TensorFlow, filter: Tensor4D): Tensor4D {
  const [height, width, inputs, outputs] = filter.shape;
  return tf.tidy(() => {
    const swapped: Tensor2D = tf.reshape(tf.transpose(filter, [0, 1, 3, 2]), [height * width, outputs * inputs]);
    const taps = Array.from({ length: height * width }, (_, tap) =>
      tf.slice2d(swapped, [height * width - 1 - tap, 0], [1, outputs * inputs]),
    );
    return tf.reshape(tf.concat2d(taps, 0), [height, width, outputs, inputs]);
  });
}

/** [N,H,W,C] → [N, stride·H, stride·W, C]: zeros after every pixel, to the right and below. */
function spread(tf: TensorFlow, x: Tensor4D, stride: number): Tensor4D {
  if (stride === 1) return tf.clone(x);
  const [images, height, width, channels] = x.shape;
  return tf.tidy(() => {
    const pixels: Tensor4D = tf.reshape(x, [images * height, 1, width, channels]);
    const padded = tf.pad4d(pixels, [
      [0, 0],
      [0, stride - 1],
      [0, 0],
      [0, (stride - 1) * channels],
    ]);
    return tf.reshape(padded, [images, stride * height, stride * width, channels]);
  });
}

/**
 * For tap (i, j): Σ over images and output pixels of (input at the tap) ⊗ (gradient), a product of
 * [I, N·H′·W′] and [N·H′·W′, O]. With a stride the input is first split into its stride² phases; in a phase the pixels of a
 * tap are contiguous. Phases are transposed once, because transposed products are slow. Call it inside a tidy.
 *
 * The WebAssembly backend packs the right factor and keeps that until its data is disposed, whatever its shape later; so
 * the gradient is the right factor of all taps, and no other kernel may multiply the same data in another shape.
 */
function filterGradient(
  tf: TensorFlow,
  gradient: Tensor4D,
  x: Tensor4D,
  [filterHeight, filterWidth, inputs, outputs]: Shape4D,
  { stride, dilation, padding }: ConvolutionGeometry,
): Tensor4D {
  const [images, height, width] = gradient.shape;
  const pixels = images * height * width;
  const rows = height + Math.floor((dilation * (filterHeight - 1)) / stride);
  const columns = width + Math.floor((dilation * (filterWidth - 1)) / stride);
  const framed = frame(tf, x, { before: padding, size: stride * rows }, { before: padding, size: stride * columns });
  const flatGradient: Tensor2D = tf.reshape(gradient, [pixels, outputs]);
  const taps: Tensor2D[] = new Array(filterHeight * filterWidth);
  for (let row = 0; row < stride; row++) {
    for (let column = 0; column < stride; column++) {
      const rowTaps = tapsOfPhase(filterHeight, dilation, stride, row);
      const columnTaps = tapsOfPhase(filterWidth, dilation, stride, column);
      if (rowTaps.length * columnTaps.length === 0) continue;
      const channelsFirst = tf.tidy(() => tf.transpose(phase(tf, framed, stride, row, column), [3, 0, 1, 2]));
      for (const { tap: i, start: top } of rowTaps) {
        for (const { tap: j, start: left } of columnTaps) {
          taps[i * filterWidth + j] = tf.tidy(() => {
            const slice = tf.slice4d(channelsFirst, [0, 0, top, left], [inputs, images, height, width]);
            return tf.matMul<Tensor2D>(tf.reshape(slice, [inputs, pixels]), flatGradient);
          });
        }
      }
      channelsFirst.dispose();
    }
  }
  return tf.reshape(tf.concat2d(taps, 0), [filterHeight, filterWidth, inputs, outputs]);
}

/** Along one axis, the taps of a filter that meet a phase of the input, and the pixel of the phase that each starts at. */
function tapsOfPhase(filterSize: number, dilation: number, stride: number, remainder: number) {
  return Array.from({ length: filterSize }, (_, tap) => ({ tap, offset: dilation * tap }))
    .filter(({ offset }) => offset % stride === remainder)
    .map(({ tap, offset }) => ({ tap, start: Math.floor(offset / stride) }));
}
