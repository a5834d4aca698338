import type { Tensor, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels, MomentumStep, PointwiseKernels } from '../kernels.js';
import type { Operations } from './operations.js';

/** Casts, ReLU, addition, channels joined, cut and scaled, the SGD update, softmax and argmax. */
export function pointwiseKernels(operations: Operations): PointwiseKernels {
  const { tf } = operations.engine;
  const type = [operations.type('T')];
  const typeOf = (x: Tensor) => [operations.typeOf(x)];

  function allFinite(tensors: readonly Tensor[]): boolean {
    return tf.tidy(() => {
      const each = tensors.map((x) => tf.all(operations.run<Tensor>('IsFinite', typeOf(x), [x])));
      return tf.all(tf.stack(each)).dataSync()[0] !== 0;
    });
  }

  function largestMagnitude(x: Tensor, nonNegative = false): number {
    const attributes = [
      operations.typeOf(x),
      operations.type('Tidx', 'int32'),
      operations.attribute('keep_dims', false),
    ];
    const reduced = (name: 'Max' | 'Min'): number =>
      operations.withIntegers([x.shape.map((_, axis) => axis)], (axes) => {
        const stored = operations.run<Tensor>(name, attributes, [x, axes!]);
        const full = operations.cast(stored, 'fp32');
        const value = full.dataSync()[0]!;
        stored.dispose();
        full.dispose();
        return value;
      });
    // No map of magnitudes is made.
    return nonNegative ? reduced('Max') : Math.max(reduced('Max'), -reduced('Min'));
  }

  function momentumStep<T extends Tensor>(
    parameter: T,
    gradient: T,
    velocity: T,
    { learningRate, momentum, weightDecay, gradientFactor = 1 }: MomentumStep,
  ) {
    const scaled = (x: Tensor, factor: number): Tensor => {
      const scalar = tf.scalar(factor);
      const product = operations.run('Mul', type, [x, scalar]);
      scalar.dispose();
      return product;
    };
    /** Runs a sum or difference and disposes what went in. */
    const consume = <R extends Tensor>(name: 'AddV2' | 'Sub', a: Tensor, b: Tensor): R => {
      const result: R = operations.run(name, type, [a, b]);
      a.dispose();
      b.dispose();
      return result;
    };
    const full = operations.cast(gradient, 'fp32');
    gradient.dispose();
    const unscaled = gradientFactor === 1 ? full : scaled(full, gradientFactor);
    if (unscaled !== full) full.dispose();
    const decayed = consume('AddV2', unscaled, scaled(parameter, weightDecay));
    const kept = scaled(velocity, momentum);
    velocity.dispose();
    const next: T = consume('AddV2', kept, decayed);
    const updated: T = consume('Sub', parameter, scaled(next, learningRate));
    return { parameter: updated, velocity: next };
  }

  function argmax(x: Tensor4D): Tensor3D {
    const axis = tf.scalar(3, 'int32');
    const result: Tensor3D = operations.run(
      'ArgMax',
      [operations.type('T'), operations.type('Tidx', 'int32'), operations.type('output_type', 'int32')],
      [x, axis],
    );
    axis.dispose();
    return result;
  }

  function scaleChannels(x: Tensor4D, factors: Tensor4D): Tensor4D {
    const stored = operations.castLike(factors, x);
    const scaled: Tensor4D = operations.run('Mul', typeOf(x), [x, stored]);
    stored.dispose();
    return scaled;
  }

  return {
    cast: (x, precision) => operations.cast(x, precision),
    allFinite,
    largestMagnitude,
    relu: (x) => operations.run('Relu', typeOf(x), [x]),
    reluGradient: (gradient, y) => operations.run('ReluGrad', typeOf(y), [gradient, y]),
    add: (a, b) => operations.run('AddV2', typeOf(a), [a, b]),
    concatenateChannels: (a, b) => operations.concatenate([a, b], 3),
    sliceChannels: (x, begin, size) =>
      operations.slice(x, [0, 0, 0, begin], [x.shape[0], x.shape[1], x.shape[2], size]),
    scaleChannels,
    momentumStep,
    argmax,
    softmax: (x) => operations.run('Softmax', type, [x]),
  };
}

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
