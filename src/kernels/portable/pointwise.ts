import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { Precision } from '../../recipe/experiment.js';
import type { MomentumStep, PointwiseKernels } from '../kernels.js';
import type { TensorFlow } from './window.js';

/** ReLU, addition, channels joined, cut and scaled, the SGD update, softmax and argmax. */
export function pointwiseKernels(tf: TensorFlow): PointwiseKernels {
  function cast<T extends Tensor>(x: T, precision: Precision): T {
    if (precision !== 'fp32') throw new Error(`The portable kernels compute in float32, not in ${precision}.`);
    return tf.clone(x);
  }

  function momentumStep<T extends Tensor>(
    parameter: T,
    gradient: T,
    velocity: T,
    { learningRate, momentum, weightDecay, gradientFactor = 1 }: MomentumStep,
  ): { parameter: T; velocity: T } {
    /** Disposes what went into `result` and is not needed again. */
    const release = <R extends Tensor>(result: R, ...inputs: Tensor[]): R => {
      tf.dispose(inputs);
      return result;
    };
    const decay = tf.mul<T>(parameter, weightDecay);
    const unscaled = gradientFactor === 1 ? gradient : release(tf.mul<T>(gradient, gradientFactor), gradient);
    const decayed = release(tf.add<T>(unscaled, decay), unscaled, decay);
    const kept = release(tf.mul<T>(velocity, momentum), velocity);
    const next = release(tf.add<T>(kept, decayed), kept, decayed);
    const change = tf.mul<T>(next, learningRate);
    return { parameter: release(tf.sub<T>(parameter, change), parameter, change), velocity: next };
  }

  function largestMagnitude(x: Tensor, nonNegative = false): number {
    return tf.tidy(() => {
      const largest = tf.max(x).dataSync()[0]!;
      // No map of magnitudes is made.
      return nonNegative ? largest : Math.max(largest, -tf.min(x).dataSync()[0]!);
    });
  }

  return {
    cast,
    // A value that is not finite times 0 is NaN, and so is a sum with it.
    allFinite: (tensors) => tensors.every((x) => tf.tidy(() => tf.sum(tf.mul(x, 0)).dataSync()[0] === 0)),
    largestMagnitude,
    relu: (x) => tf.relu(x),
    reluGradient: (gradient, y) => tf.tidy(() => tf.mul(gradient, tf.step(y))),
    add: (a, b) => tf.add(a, b),
    concatenateChannels: (a, b) => tf.concat([a, b], 3),
    sliceChannels: (x, begin, size) => tf.slice4d(x, [0, 0, 0, begin], [-1, -1, -1, size]),
    scaleChannels: (x, factors) => tf.mul(x, factors),
    momentumStep,
    argmax: (x) => tf.argMax<Tensor3D>(x, 3),
    softmax: (x) => tf.softmax(x),
  };
}
