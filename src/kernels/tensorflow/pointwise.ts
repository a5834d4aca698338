import type { Tensor, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels, MomentumStep } from '../kernels.js';
import type { Operations } from './operations.js';

/** ReLU, addition, channel scaling, the SGD update, softmax and argmax. */
export function pointwiseKernels(
  operations: Operations,
): Pick<Kernels, 'relu' | 'reluGradient' | 'add' | 'scaleChannels' | 'momentumStep' | 'argmax' | 'softmax'> {
  const { tf } = operations.engine;
  const type = [operations.type('T')];

  function momentumStep<T extends Tensor>(
    parameter: T,
    gradient: T,
    velocity: T,
    { learningRate, momentum, weightDecay }: MomentumStep,
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
    const decayed = consume('AddV2', gradient, scaled(parameter, weightDecay));
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

  return {
    relu: (x) => operations.run('Relu', type, [x]),
    reluGradient: (gradient, y) => operations.run('ReluGrad', type, [gradient, y]),
    add: (a, b) => operations.run('AddV2', type, [a, b]),
    scaleChannels: (x, factors) => operations.run('Mul', type, [x, factors]),
    momentumStep,
    argmax,
    softmax: (x) => operations.run('Softmax', type, [x]),
  };
}
