import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { OperationAttribute } from '../../engines/engine.js';
import { type ConvolutionGeometry, type ConvolutionKernels, type Shape4D, thenDispose } from '../kernels.js';
import type { Operations } from './operations.js';
import type { WinogradConvolutions } from './winograd.js';

/**
 * oneDNN reads an NHWC image with a channel stride of a power of two ≥ 4 KiB through few cache sets: 3×3 convolutions of
 * 1024 and 2048 channels then run at 50–75 % of the rate of other widths, and filter gradients of more than 256 channels at
 * 80–90 %. Wider inputs are therefore convolved in slices of this many channels, which are added up or joined.
 */
const SLICE_CHANNELS = { forward: 512, filterGradient: 256 } as const;

/** What this package adds on CPUs. */
interface OwnConvolutions {
  /** For the convolutions that need fewer operations so; null: all are direct. */
  readonly winograd: WinogradConvolutions | null;
  /** Whether bias, residual and ReLU are done in one pass. */
  readonly activation: boolean;
  /** Whether filter gradients must have the same bits on any number of threads: TensorFlow's own do not, with a stride or few channels. */
  readonly anyThreads: boolean;
}

/**
 * Conv2D and its gradients by TensorFlow's own operations, dilated ones included.
 */
export function tensorflowConvolutionKernels(
  operations: Operations,
  { winograd, activation, anyThreads }: OwnConvolutions,
): ConvolutionKernels {
  const onCpu = operations.engine.device === 'cpu';

  const direct = (x: Tensor4D, filter: Tensor4D, geometry: ConvolutionGeometry): Tensor4D => {
    const stored = operations.castLike(filter, x);
    return thenDispose(convolutionOfStored(operations, x, stored, geometry), stored);
  };

  const convolutionBias: ConvolutionKernels['convolutionBias'] = (x, filter, bias, geometry, relu, residual) => {
    const tile = winograd?.tileOf(x, filter.shape, geometry) ?? null;
    if (tile !== null) return winograd!.convolution(tile, x, filter, geometry, { bias, residual, relu });
    const y = direct(x, filter, geometry);
    if (activation) return activated(operations, y, bias, relu, residual);
    const stored = operations.castLike(bias, y);
    const attributes = [operations.typeOf(y), operations.attribute('data_format', 'NHWC')];
    const biased = thenDispose(operations.run<Tensor4D>('BiasAdd', attributes, [y, stored]), y, stored);
    const sum =
      residual === undefined
        ? biased
        : thenDispose(operations.elementwise<Tensor4D>('AddV2', biased, residual), biased);
    return relu ? thenDispose(operations.elementwise<Tensor4D>('Relu', sum), sum) : sum;
  };

  return {
    convolution(x, filter, geometry) {
      const tile = winograd?.tileOf(x, filter.shape, geometry) ?? null;
      return tile === null ? direct(x, filter, geometry) : winograd!.convolution(tile, x, filter, geometry);
    },

    convolutionBias,

    joinedConvolutionBias(a, b, filter, bias, geometry, relu) {
      const tile = winograd?.tileOfJoined(a, filter.shape, geometry) ?? null;
      if (tile !== null) return thenDispose(winograd!.convolution(tile, a, filter, geometry, { bias, relu }, b), a, b);
      const joined = thenDispose(operations.concatenate([a, b], 3), a, b);
      return thenDispose(convolutionBias(joined, filter, bias, geometry, relu), joined);
    },

    convolutionInputGradient(gradient, filter, inputShape, geometry) {
      const kernelSize = filter.shape[0];
      const tile = winograd?.tileOfInputGradient(gradient, filter.shape, inputShape, geometry) ?? null;
      if (tile !== null) return winograd!.inputGradient(tile, gradient, filter, geometry);
      return summedInFloat32(operations, kernelSize, geometry, [gradient], (gradient) => {
        const stored = operations.castLike(filter, gradient);
        const attributes = convolutionAttributes(operations, gradient, kernelSize, geometry);
        const result = operations.withIntegers([inputShape], (shape) =>
          operations.run<Tensor4D>('Conv2DBackpropInput', attributes, [shape!, stored, gradient]),
        );
        return thenDispose(result, stored);
      });
    },

    convolutionFilterGradient(gradient, x, filterShape, geometry) {
      if (onCpu && filterShape[0] === 1 && geometry.stride === 1 && geometry.padding === 0) {
        return pointwiseFilterGradient(operations, gradient, x, filterShape);
      }
      const tile = winograd?.tileOfFilterGradient(gradient, filterShape, geometry) ?? null;
      if (tile !== null) return winograd!.filterGradient(tile, gradient, x, geometry);
      if (anyThreads) return filterGradientByTaps(operations, gradient, x, filterShape, geometry);
      return summedInFloat32(operations, filterShape[0], geometry, [gradient, x], (gradient, x) =>
        slicedFilterGradient(operations, gradient, x, filterShape, geometry),
      );
    },
  };
}

/** Bias, residual and ReLU, written into the memory of y. */
function activated(operations: Operations, y: Tensor4D, bias: Tensor1D, relu: boolean, residual?: Tensor4D): Tensor4D {
  const attributes = [
    operations.typeOf(y),
    operations.attribute('add', residual !== undefined),
    operations.attribute('relu', relu),
  ];
  // Without a residual the operation ignores the input in its place.
  operations.runMany('FcnBiasActivation', attributes, [y, bias, residual ?? y], 0);
  return y;
}

function convolutionAttributes(
  operations: Operations,
  x: Tensor4D,
  kernelSize: number,
  geometry: ConvolutionGeometry,
): OperationAttribute[] {
  const { stride, dilation, padding } = geometry;
  const same = isSame(kernelSize, geometry);
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

/** SAME is symmetric at stride 1, and oneDNN takes gradients only with SAME. */
function isSame(kernelSize: number, { stride, dilation, padding }: ConvolutionGeometry): boolean {
  return stride === 1 && 2 * padding === dilation * (kernelSize - 1);
}

/** Computes a gradient in float32 if TensorFlow's own CPU code, which runs what oneDNN does not take, would sum it in 16 bits. */
function summedInFloat32(
  operations: Operations,
  kernelSize: number,
  geometry: ConvolutionGeometry,
  inputs: readonly Tensor4D[],
  compute: (...inputs: Tensor4D[]) => Tensor4D,
): Tensor4D {
  const stored = inputs[0]!;
  const isAccurate = operations.engine.device !== 'cpu' || isSame(kernelSize, geometry) || !operations.isHalf(stored);
  if (isAccurate) return compute(...inputs);
  const full = inputs.map((x) => operations.cast(x, 'fp32'));
  const gradient = compute(...full);
  return thenDispose(operations.castLike(gradient, stored), ...full, gradient);
}

/** Channels [begin, begin + size). */
interface ChannelRange {
  readonly begin: number;
  readonly size: number;
}

/** Slices of `size` channels if that is faster; otherwise all channels in one. */
function channelRanges({ engine }: Operations, kernelSize: number, channels: number, size: number): ChannelRange[] {
  const isSliced = engine.device === 'cpu' && kernelSize > 1 && channels > size && channels % size === 0;
  if (!isSliced) return [{ begin: 0, size: channels }];
  return Array.from({ length: channels / size }, (_, i) => ({ begin: i * size, size }));
}

/** A range of the last axis (images) or the third (filters). */
function channelSlice(operations: Operations, x: Tensor4D, axis: 2 | 3, { begin, size }: ChannelRange): Tensor4D {
  const starts: [number, number, number, number] = [0, 0, 0, 0];
  const sizes: [number, number, number, number] = [...x.shape];
  starts[axis] = begin;
  sizes[axis] = size;
  return operations.slice(x, starts, sizes);
}

function convolutionOfStored(
  operations: Operations,
  x: Tensor4D,
  filter: Tensor4D,
  geometry: ConvolutionGeometry,
): Tensor4D {
  const ranges = channelRanges(operations, filter.shape[0], x.shape[3], SLICE_CHANNELS.forward);
  const attributes = convolutionAttributes(operations, x, filter.shape[0], geometry);
  if (ranges.length === 1) return operations.run('Conv2D', attributes, [x, filter]);
  let sum: Tensor4D | null = null;
  for (const range of ranges) {
    const xSlice = channelSlice(operations, x, 3, range);
    const filterSlice = channelSlice(operations, filter, 2, range);
    const y = thenDispose(operations.run<Tensor4D>('Conv2D', attributes, [xSlice, filterSlice]), xSlice, filterSlice);
    sum = sum === null ? y : thenDispose(operations.elementwise<Tensor4D>('AddV2', sum, y), sum, y);
  }
  return sum!;
}

function slicedFilterGradient(
  operations: Operations,
  gradient: Tensor4D,
  x: Tensor4D,
  filterShape: Shape4D,
  geometry: ConvolutionGeometry,
): Tensor4D {
  const [height, width, inputs, outputs] = filterShape;
  const attributes = convolutionAttributes(operations, x, height, geometry);
  const parts = channelRanges(operations, height, inputs, SLICE_CHANNELS.filterGradient).map((range) => {
    const xSlice = range.size === inputs ? x : channelSlice(operations, x, 3, range);
    const part = operations.withIntegers([[height, width, range.size, outputs]], (shape) =>
      operations.run<Tensor4D>('Conv2DBackpropFilter', attributes, [xSlice, shape!, gradient]),
    );
    if (xSlice !== x) xSlice.dispose();
    return part;
  });
  return parts.length === 1 ? parts[0]! : thenDispose(operations.concatenate(parts, 2), ...parts);
}

/** A 1×1 filter's gradient is a matrix product, xᵀ·gradient, which oneDNN computes a tenth to a third faster. */
function pointwiseFilterGradient(
  operations: Operations,
  gradient: Tensor4D,
  x: Tensor4D,
  filterShape: Shape4D,
): Tensor4D {
  const { tf } = operations.engine;
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
  return thenDispose(result, images, gradients, product);
}

/**
 * The gradient of each of a filter's taps by itself: a matrix product of the pixels that the tap reads and the output's gradient. The
 * order of its sums does not depend on the number of threads.
 */
function filterGradientByTaps(
  operations: Operations,
  gradient: Tensor4D,
  x: Tensor4D,
  filterShape: Shape4D,
  { stride, dilation, padding }: ConvolutionGeometry,
): Tensor4D {
  const { tf } = operations.engine;
  const [height, width, inputs, outputs] = filterShape;
  const [, outputHeight, outputWidth] = gradient.shape;
  const padded = padding === 0 ? x : operations.pad(x, padding);
  const taps: Tensor4D[] = [];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const begin = [row * dilation, column * dilation] as const;
      const read = operations.everyPixel(padded, begin, [outputHeight, outputWidth], stride);
      const tap = pointwiseFilterGradient(operations, gradient, read, [1, 1, inputs, outputs]);
      taps.push(thenDispose(tap, read));
    }
  }
  if (padded !== x) padded.dispose();
  const joined = taps.length === 1 ? taps[0]! : thenDispose(operations.concatenate(taps, 0), ...taps);
  const result: Tensor4D = tf.reshape(joined, [...filterShape]);
  return thenDispose(result, joined);
}
