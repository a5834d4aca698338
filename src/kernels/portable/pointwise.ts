import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { Kernels, MomentumStep } from '../kernels.js';
import type { TensorFlow } from './tensorflow.js';

/** ReLU, addition, channel scaling, the SGD update, softmax and argmax. */
export function pointwiseKernels(
  tf: TensorFlow,
): Pick<Kernels, 'relu' | 'reluGradient' | 'add' | 'scaleChannels' | 'momentumStep' | 'argmax' | 'softmax'> {
  function momentumStep<T extends Tensor>(
    parameter: T,
    gradient: T,
    velocity: T,
    { learningRate, momentum, weightDecay }: MomentumStep,
  ): { parameter: T; velocity: T } {
    /** Disposes what went into `result` and is not needed again. */
    const release = <R extends Tensor>(result: R, ...inputs: Tensor[]): R => {
      tf.dispose(inputs);
      return result;
    };
    const decay = tf.mul<T>(parameter, weightDecay);
    const decayed = release(tf.add<T>(gradient, decay), gradient, decay);
    const kept = release(tf.mul<T>(velocity, momentum), velocity);
    const next = release(tf.add<T>(kept, decayed), kept, decayed);
    const change = tf.mul<T>(next, learningRate);
    return { parameter: release(tf.sub<T>(parameter, change), parameter, change), velocity: next };
  }

  return {
    relu: (x) => tf.relu(x),
    reluGradient: (gradient, y) => tf.tidy(() => tf.mul(gradient, tf.step(y))),
    add: (a, b) => tf.add(a, b),
    scaleChannels: (x, factors) => tf.mul(x, factors),
    momentumStep,
    argmax: (x) => tf.argMax<Tensor3D>(x, 3),
    softmax: (x) => tf.softmax(x),
  };
}
