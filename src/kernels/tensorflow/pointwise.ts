import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import {
  type MaxPoolKernels,
  type MomentumStep,
  type PointwiseKernels,
  type ResizeKernels,
  thenDispose,
} from '../kernels.js';
import type { Operations } from './operations.js';

/** Casts, ReLU, addition, channels joined, cut and scaled, the SGD update, softmax and argmax. */
export function tensorflowPointwiseKernels(operations: Operations): PointwiseKernels {
  const { tf } = operations.engine;
  return {
    cast: (x, precision) => operations.cast(x, precision),
    allFinite: (tensors) =>
      tf.tidy(() => {
        const each = tensors.map((x) => tf.all(operations.elementwise<Tensor>('IsFinite', x)));
        return tf.all(tf.stack(each)).dataSync()[0] !== 0;
      }),
    readScalars: (tensors) => tensors.map((tensor) => tensor.dataSync()[0]!),
    // Two reductions: magnitudes would be one more map in memory.
    largestMagnitude: (x, nonNegative = false) =>
      nonNegative
        ? extreme(operations, 'Max', x)
        : Math.max(extreme(operations, 'Max', x), -extreme(operations, 'Min', x)),
    relu: (x) => operations.elementwise('Relu', x),
    reluGradient([gradient, other], y) {
      const sum = other === undefined ? gradient : operations.elementwise<Tensor4D>('AddV2', gradient, other);
      if (other !== undefined) tf.dispose([gradient, other]);
      return thenDispose(operations.elementwise<Tensor4D>('ReluGrad', sum, y), sum);
    },
    add: (a, b) => operations.elementwise('AddV2', a, b),
    concatenateChannels: (a, b) => operations.concatenate([a, b], 3),
    sliceChannels: (x, begin, size) =>
      operations.slice(x, [0, 0, 0, begin], [x.shape[0], x.shape[1], x.shape[2], size]),
    scaleChannels(x, factors) {
      const stored = operations.castLike(factors, x);
      return thenDispose(operations.elementwise<Tensor4D>('Mul', x, stored), stored);
    },
    momentumStep: (parameter, gradient, velocity, step) =>
      momentumStep(operations, parameter, gradient, velocity, step),
    argmax(x) {
      const attributes = [
        operations.type('T'),
        operations.type('Tidx', 'int32'),
        operations.type('output_type', 'int32'),
      ];
      const axis = tf.scalar(3, 'int32');
      return thenDispose(operations.run('ArgMax', attributes, [x, axis]), axis);
    },
    softmax: (x) => operations.elementwise('Softmax', x),
  };
}

/** The largest or the smallest value of a tensor. */
function extreme(operations: Operations, name: 'Max' | 'Min', x: Tensor): number {
  const attributes = [operations.typeOf(x), operations.type('Tidx', 'int32'), operations.attribute('keep_dims', false)];
  return operations.withIntegers([x.shape.map((_, axis) => axis)], (axes) => {
    const stored = operations.run<Tensor>(name, attributes, [x, axes!]);
    const full = operations.cast(stored, 'fp32');
    return thenDispose(full.dataSync()[0]!, stored, full);
  });
}

function momentumStep<T extends Tensor>(
  operations: Operations,
  parameter: T,
  gradient: T,
  velocity: T,
  { learningRate, momentum, weightDecay, gradientFactor = 1 }: MomentumStep,
) {
  const scaled = (x: Tensor, factor: number): Tensor => {
    const scalar = operations.engine.tf.scalar(factor);
    return thenDispose(operations.elementwise('Mul', x, scalar), scalar);
  };
  /** Runs a sum or difference and disposes its inputs. */
  const consume = <R extends Tensor>(name: 'AddV2' | 'Sub', a: Tensor, b: Tensor): R =>
    thenDispose(operations.elementwise<R>(name, a, b), a, b);
  const full = thenDispose(operations.cast(gradient, 'fp32'), gradient);
  const unscaled = gradientFactor === 1 ? full : thenDispose(scaled(full, gradientFactor), full);
  const decayed = consume('AddV2', unscaled, scaled(parameter, weightDecay));
  const kept = thenDispose(scaled(velocity, momentum), velocity);
  const next: T = consume('AddV2', kept, decayed);
  const updated: T = consume('Sub', parameter, scaled(next, learningRate));
  return { parameter: updated, velocity: next };
}

/** Max pool 3×3, stride 2, padding 1, and its gradient. */
export function tensorflowMaxPoolKernels(operations: Operations): MaxPoolKernels {
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
export function tensorflowResizeKernels(operations: Operations): ResizeKernels {
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
    resizeBilinearGradient(gradient, [height, width], alignCorners) {
      // The operation reads only the shape of its second input.
      const input: Tensor4D = operations.engine.tf.zeros([gradient.shape[0], height, width, gradient.shape[3]]);
      const settings = attributes(input, alignCorners);
      return thenDispose(operations.run<Tensor4D>('ResizeBilinearGrad', settings, [gradient, input]), input);
    },
  };
}
