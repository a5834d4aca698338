import type { Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvolutionGeometry, Kernels } from '../kernels.js';
import { frame, phase, type TensorFlow } from './window.js';

type Shape4D = readonly [number, number, number, number];
type ExplicitPadding = [[number, number], [number, number], [number, number], [number, number]];

/**
 * Convolution and its gradients. The input gradient is itself a convolution, the filter gradient one matrix product for
 * each tap of the filter; neither needs a backward operation of the backend, and both take any stride and dilation.
 */
export function convolutionKernels(
  tf: TensorFlow,
): Pick<Kernels, 'convolution' | 'convolutionInputGradient' | 'convolutionFilterGradient' | 'convolutionBias'> {
  function symmetric(padding: number): ExplicitPadding {
    return [
      [0, 0],
      [padding, padding],
      [padding, padding],
      [0, 0],
    ];
  }

  function convolution(x: Tensor4D, filter: Tensor4D, { stride, dilation, padding }: ConvolutionGeometry): Tensor4D {
    return tf.conv2d(x, filter, stride, symmetric(padding), 'NHWC', dilation);
  }

  function convolutionBias(
    x: Tensor4D,
    filter: Tensor4D,
    bias: Tensor1D,
    { stride, dilation, padding }: ConvolutionGeometry,
    relu: boolean,
  ): Tensor4D {
    return tf.fused.conv2d({
      x,
      filter,
      strides: stride,
      pad: symmetric(padding),
      dilations: dilation,
      bias,
      activation: relu ? 'relu' : 'linear',
    });
  }

  /** The filter turned by 180° with its channels swapped: [kh,kw,I,O] → [kh,kw,O,I]. */
  function transposedFilter(filter: Tensor4D): Tensor4D {
    const [height, width, inputs, outputs] = filter.shape;
    return tf.tidy(() => {
      const swapped = tf.reshape(tf.transpose(filter, [0, 1, 3, 2]), [height * width, outputs * inputs]) as Tensor2D;
      const taps = Array.from({ length: height * width }, (_, tap) =>
        tf.slice2d(swapped, [height * width - 1 - tap, 0], [1, outputs * inputs]),
      );
      return tf.reshape(tf.concat2d(taps, 0), [height, width, outputs, inputs]) as Tensor4D;
    });
  }

  /** [N,H,W,C] → [N, stride·H, stride·W, C]: zeros after every pixel, to the right and below. */
  function spread(x: Tensor4D, stride: number): Tensor4D {
    if (stride === 1) return tf.clone(x);
    const [images, height, width, channels] = x.shape;
    return tf.tidy(() => {
      const pixels = tf.reshape(x, [images * height, 1, width, channels]) as Tensor4D;
      const padded = tf.pad4d(pixels, [
        [0, 0],
        [0, stride - 1],
        [0, 0],
        [0, (stride - 1) * channels],
      ]);
      return tf.reshape(padded, [images, stride * height, stride * width, channels]) as Tensor4D;
    });
  }

  /**
   * Input pixel s·h + d·i − p meets output pixel h at tap i. So with the gradient spread by the stride s, input pixel y
   * collects tap i from the spread gradient's pixel y + p − d·i: a convolution with the turned filter, dilation d, over
   * a frame that starts d·(k − 1) − p before it and ends where the input does. Input that no tap has met gets 0.
   */
  function convolutionInputGradient(
    gradient: Tensor4D,
    filter: Tensor4D,
    [, height, width]: Shape4D,
    { stride, dilation, padding }: ConvolutionGeometry,
  ): Tensor4D {
    const reachY = dilation * (filter.shape[0] - 1);
    const reachX = dilation * (filter.shape[1] - 1);
    return tf.tidy(() => {
      const framed = tf.tidy(() =>
        frame(
          tf,
          spread(gradient, stride),
          { before: reachY - padding, size: height + reachY },
          { before: reachX - padding, size: width + reachX },
        ),
      );
      return tf.conv2d(framed, transposedFilter(filter), 1, 'valid', 'NHWC', dilation);
    });
  }

  /**
   * For tap (i, j): Σ over images and output pixels of (input at the tap) ⊗ (gradient), a product of
   * [I, N·H′·W′] and [N·H′·W′, O]. With a stride the input is first taken apart into its stride² phases, in each of
   * which the pixels of a tap are contiguous. Phases are transposed once, because transposed products are slow.
   *
   * The WebAssembly backend packs the right factor and keeps that until its data is disposed, whatever shape it is given
   * later; so the gradient is the right factor of all taps, and no other kernel may multiply the same data in another shape.
   */
  function convolutionFilterGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    [filterHeight, filterWidth, inputs, outputs]: Shape4D,
    { stride, dilation, padding }: ConvolutionGeometry,
  ): Tensor4D {
    const [images, height, width] = gradient.shape;
    const pixels = images * height * width;
    const rows = height + Math.floor((dilation * (filterHeight - 1)) / stride);
    const columns = width + Math.floor((dilation * (filterWidth - 1)) / stride);
    const offsets = (size: number, remainder: number) =>
      Array.from({ length: size }, (_, tap) => ({ tap, offset: dilation * tap })).filter(
        ({ offset }) => offset % stride === remainder,
      );

    return tf.tidy(() => {
      const framed = frame(
        tf,
        x,
        { before: padding, size: stride * rows },
        { before: padding, size: stride * columns },
      );
      const flatGradient = tf.reshape(gradient, [pixels, outputs]) as Tensor2D;
      const taps: Tensor2D[] = new Array(filterHeight * filterWidth);
      for (let row = 0; row < stride; row++) {
        for (let column = 0; column < stride; column++) {
          const rowTaps = offsets(filterHeight, row);
          const columnTaps = offsets(filterWidth, column);
          if (rowTaps.length * columnTaps.length === 0) continue;
          const channelsFirst = tf.tidy(() => tf.transpose(phase(tf, framed, stride, row, column), [3, 0, 1, 2]));
          for (const { tap: i, offset: y } of rowTaps) {
            for (const { tap: j, offset: x } of columnTaps) {
              taps[i * filterWidth + j] = tf.tidy(() => {
                const begin: [number, number, number, number] = [0, 0, Math.floor(y / stride), Math.floor(x / stride)];
                const slice = tf.slice4d(channelsFirst, begin, [inputs, images, height, width]);
                return tf.matMul(tf.reshape(slice, [inputs, pixels]) as Tensor2D, flatGradient);
              });
            }
          }
          channelsFirst.dispose();
        }
      }
      return tf.reshape(tf.concat2d(taps, 0), [filterHeight, filterWidth, inputs, outputs]) as Tensor4D;
    });
  }

  return { convolution, convolutionInputGradient, convolutionFilterGradient, convolutionBias };
}
