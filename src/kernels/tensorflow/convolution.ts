import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { OperationAttribute } from '../../engines/engine.js';
import type { ConvolutionGeometry, Kernels } from '../kernels.js';
import type { Operations } from './operations.js';

type Shape4D = readonly [number, number, number, number];

/**
 * oneDNN reads an NHWC image with a channel stride of a power of two ≥ 4 KiB through few cache sets: 3×3 convolutions of
 * 1024 and 2048 channels then run at 50–75 % of the rate of other widths, and filter gradients of more than 256 channels at
 * 80–90 %. Wider inputs are therefore convolved in slices of these many channels and added up, or joined.
 */
const SLICE_CHANNELS = { forward: 512, filterGradient: 256 } as const;

function isSliced(kernelSize: number, channels: number, size: number): boolean {
  return kernelSize > 1 && channels > size && channels % size === 0;
}

/** Conv2D and its gradients by TensorFlow's own operations, dilated ones included. */
export function convolutionKernels(
  operations: Operations,
): Pick<Kernels, 'convolution' | 'convolutionInputGradient' | 'convolutionFilterGradient' | 'convolutionBias'> {
  const { tf, device } = operations.engine;

  function attributes(
    x: Tensor4D,
    kernelSize: number,
    { stride, dilation, padding }: ConvolutionGeometry,
  ): OperationAttribute[] {
    const same = isSame(kernelSize, { stride, dilation, padding });
    return [
      operations.typeOf(x),
      operations.attribute('strides', [1, stride, stride, 1]),
      operations.attribute('dilations', [1, dilation, dilation, 1]),
      operations.attribute('use_cudnn_on_gpu', true),
      operations.attribute('data_format', 'NHWC'),
      operations.attribute('padding', same ? 'SAME' : 'EXPLICIT'),
      ...(same ? [] : [operations.attribute('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0])]),
    ];
  }

  /** SAME is symmetric at stride 1, and only with SAME does oneDNN take gradients. */
  function isSame(kernelSize: number, { stride, dilation, padding }: ConvolutionGeometry): boolean {
    return stride === 1 && 2 * padding === dilation * (kernelSize - 1);
  }

  /**
   * Computes a gradient in float32 where it would be summed in 16 bits: TensorFlow's own code for processors does that,
   * which takes what oneDNN does not.
   */
  function summedInFloat32(
    kernelSize: number,
    geometry: ConvolutionGeometry,
    inputs: readonly Tensor4D[],
    compute: (...inputs: Tensor4D[]) => Tensor4D,
  ): Tensor4D {
    const [stored] = inputs;
    if (device !== 'cpu' || isSame(kernelSize, geometry) || !operations.isHalf(stored!)) return compute(...inputs);
    const full = inputs.map((x) => operations.cast(x, 'fp32'));
    const gradient = compute(...full);
    const result = operations.castLike(gradient, stored!);
    for (const tensor of [...full, gradient]) tensor.dispose();
    return result;
  }

  function slices(kernelSize: number, channels: number, size: number): { begin: number; size: number }[] {
    if (device !== 'cpu' || !isSliced(kernelSize, channels, size)) return [{ begin: 0, size: channels }];
    return Array.from({ length: channels / size }, (_, i) => ({ begin: i * size, size }));
  }

  /** Channels [begin, begin + size) of the last (images) or the third (filters) axis. */
  function channelSlice(x: Tensor4D, axis: 2 | 3, { begin, size }: { begin: number; size: number }): Tensor4D {
    const starts: [number, number, number, number] = [0, 0, 0, 0];
    const sizes: [number, number, number, number] = [...x.shape];
    starts[axis] = begin;
    sizes[axis] = size;
    return operations.slice(x, starts, sizes);
  }

  function convolution(x: Tensor4D, filter: Tensor4D, geometry: ConvolutionGeometry): Tensor4D {
    const stored = operations.castLike(filter, x);
    const y = convolutionOfStored(x, stored, geometry);
    stored.dispose();
    return y;
  }

  function convolutionOfStored(x: Tensor4D, filter: Tensor4D, geometry: ConvolutionGeometry): Tensor4D {
    const parts = slices(filter.shape[0], x.shape[3], SLICE_CHANNELS.forward);
    const settings = attributes(x, filter.shape[0], geometry);
    if (parts.length === 1) return operations.run('Conv2D', settings, [x, filter]);
    let sum: Tensor4D | null = null;
    for (const part of parts) {
      const xPart = channelSlice(x, 3, part);
      const filterPart = channelSlice(filter, 2, part);
      const y: Tensor4D = operations.run('Conv2D', settings, [xPart, filterPart]);
      xPart.dispose();
      filterPart.dispose();
      if (sum === null) {
        sum = y;
      } else {
        const added: Tensor4D = operations.run('AddV2', [operations.typeOf(y)], [sum, y]);
        sum.dispose();
        y.dispose();
        sum = added;
      }
    }
    return sum!;
  }

  function convolutionInputGradient(
    gradient: Tensor4D,
    filter: Tensor4D,
    inputShape: Shape4D,
    geometry: ConvolutionGeometry,
  ): Tensor4D {
    const kernelSize = filter.shape[0];
    return summedInFloat32(kernelSize, geometry, [gradient], (gradient) => {
      const stored = operations.castLike(filter, gradient);
      const settings = attributes(gradient, kernelSize, geometry);
      const result = operations.withIntegers([inputShape], (shape) =>
        operations.run<Tensor4D>('Conv2DBackpropInput', settings, [shape!, stored, gradient]),
      );
      stored.dispose();
      return result;
    });
  }

  function convolutionFilterGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    filterShape: Shape4D,
    geometry: ConvolutionGeometry,
  ): Tensor4D {
    if (device === 'cpu' && filterShape[0] === 1 && geometry.stride === 1 && geometry.padding === 0) {
      return pointwiseFilterGradient(gradient, x, filterShape);
    }
    return summedInFloat32(filterShape[0], geometry, [gradient, x], (gradient, x) =>
      slicedFilterGradient(gradient, x, filterShape, geometry),
    );
  }

  function slicedFilterGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    filterShape: Shape4D,
    geometry: ConvolutionGeometry,
  ): Tensor4D {
    const settings = attributes(x, filterShape[0], geometry);
    const parts = slices(filterShape[0], x.shape[3], SLICE_CHANNELS.filterGradient).map((part) => {
      const whole = part.size === x.shape[3];
      const xPart = whole ? x : channelSlice(x, 3, part);
      const result = operations.withIntegers([[filterShape[0], filterShape[1], part.size, filterShape[3]]], (shape) =>
        operations.run<Tensor4D>('Conv2DBackpropFilter', settings, [xPart, shape!, gradient]),
      );
      if (!whole) xPart.dispose();
      return result;
    });
    if (parts.length === 1) return parts[0]!;
    const joined = operations.concatenate(parts, 2);
    for (const part of parts) part.dispose();
    return joined;
  }

  /** A 1×1 filter's gradient is a product of matrices, xᵀ·gradient, which oneDNN computes a tenth to a third faster. */
  function pointwiseFilterGradient(gradient: Tensor4D, x: Tensor4D, filterShape: Shape4D): Tensor4D {
    const [, , inputs, outputs] = filterShape;
    const rows = x.size / inputs;
    const images = tf.reshape(x, [rows, inputs]);
    const gradients = tf.reshape(gradient, [rows, outputs]);
    const product: Tensor = operations.run(
      'MatMul',
      [operations.typeOf(x), operations.attribute('transpose_a', true), operations.attribute('transpose_b', false)],
      [images, gradients],
    );
    const result: Tensor4D = tf.reshape(product, [...filterShape]);
    for (const tensor of [images, gradients, product]) tensor.dispose();
    return result;
  }

  function convolutionBias(
    x: Tensor4D,
    filter: Tensor4D,
    bias: Tensor1D,
    geometry: ConvolutionGeometry,
    relu: boolean,
  ): Tensor4D {
    const y = convolution(x, filter, geometry);
    const stored = operations.castLike(bias, y);
    const biased: Tensor4D = operations.run(
      'BiasAdd',
      [operations.typeOf(y), operations.attribute('data_format', 'NHWC')],
      [y, stored],
    );
    y.dispose();
    stored.dispose();
    if (!relu) return biased;
    const activated: Tensor4D = operations.run('Relu', [operations.typeOf(biased)], [biased]);
    biased.dispose();
    return activated;
  }

  return { convolution, convolutionInputGradient, convolutionFilterGradient, convolutionBias };
}
