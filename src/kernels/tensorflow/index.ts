import type { Tensor, Tensor1D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine } from '../../engines/engine.js';
import type { Activation, BatchNormStatistics, Kernels, MomentumStep, Normalisation } from '../kernels.js';
import { convolutionKernels } from './convolution.js';
import { crossEntropyKernels } from './cross-entropy.js';
import { fusedBatchNormKernels } from './fused-batch-norm.js';
import { Operations } from './operations.js';
import { maxPoolKernels, pointwiseKernels, resizeKernels } from './pointwise.js';

/** Kernels by the operations that this package adds to TensorFlow on CPUs (src/engines/native/operations). */
function ownKernels(
  operations: Operations,
): Pick<
  Kernels,
  | 'allFinite'
  | 'batchNorm'
  | 'batchNormApply'
  | 'batchNormGradient'
  | 'crossEntropy'
  | 'maxPoolGradient'
  | 'momentumStep'
> {
  const { tf } = operations.engine;

  function attributes(x: Tensor4D, epsilon: number, { relu, residual }: Activation) {
    return [
      operations.typeOf(x),
      operations.float('epsilon', epsilon),
      operations.attribute('relu', relu),
      operations.attribute('add', residual !== undefined),
    ];
  }

  function allFinite(tensors: readonly Tensor[]): boolean {
    return tensors.every((x) => {
      const finite: Tensor = operations.run('FcnAllFinite', [operations.typeOf(x)], [x]);
      const result = finite.dataSync()[0] !== 0;
      finite.dispose();
      return result;
    });
  }

  function batchNorm(x: Tensor4D, { gamma, beta, epsilon }: Normalisation, activation: Activation) {
    // The input in the residual's place is not looked at where there is none.
    const inputs = [x, gamma, beta, activation.residual ?? x];
    const [y, mean, variance] = operations.runMany('FcnBatchNorm', attributes(x, epsilon, activation), inputs, 3);
    return { y: y as Tensor4D, statistics: { mean: mean as Tensor1D, variance: variance as Tensor1D } };
  }

  function batchNormApply(
    x: Tensor4D,
    { gamma, beta, epsilon }: Normalisation,
    { mean, variance }: BatchNormStatistics,
    activation: Activation,
  ): Tensor4D {
    const inputs = [x, gamma, beta, activation.residual ?? x, mean, variance];
    return operations.run('FcnBatchNormApply', attributes(x, epsilon, activation), inputs);
  }

  function batchNormGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    { gamma, beta, epsilon }: Normalisation,
    { mean, variance }: BatchNormStatistics,
    y: Tensor4D | null,
  ) {
    // Where the ReLU cut is computed again from x, which is read anyway: y need not be.
    const [dx, dgamma, dbeta] = operations.runMany(
      'FcnBatchNormGradient',
      attributes(x, epsilon, { relu: y !== null }),
      [gradient, x, gamma, beta, mean, variance],
      3,
    );
    return { x: dx as Tensor4D, gamma: dgamma as Tensor1D, beta: dbeta as Tensor1D };
  }

  function crossEntropy(logits: Tensor4D, labels: Tensor3D, ignoreIndex: number) {
    const attributes = [operations.attribute('ignored', ignoreIndex)];
    const [loss, correct, gradient] = operations.runMany('FcnCrossEntropy', attributes, [logits, labels], 3);
    return { loss: loss!, correct: correct!, gradient: gradient as Tensor4D };
  }

  function maxPoolGradient(gradient: Tensor4D, x: Tensor4D, y: Tensor4D): Tensor4D {
    return operations.run('FcnMaxPoolGradient', [operations.typeOf(x)], [gradient, x, y]);
  }

  function momentumStep<T extends Tensor>(
    parameter: T,
    gradient: T,
    velocity: T,
    { learningRate, momentum, weightDecay, gradientFactor = 1 }: MomentumStep,
  ) {
    const settings = tf.tensor1d([learningRate, momentum, weightDecay, gradientFactor]);
    operations.runMany(
      'FcnMomentumStep',
      [operations.typeOf(gradient, 'G')],
      [parameter, gradient, velocity, settings],
      0,
    );
    // The same memory, written in place, under a new name.
    const result = { parameter: tf.clone(parameter), velocity: tf.clone(velocity) };
    for (const tensor of [settings, gradient, parameter, velocity]) tensor.dispose();
    return result;
  }

  return { allFinite, batchNorm, batchNormApply, batchNormGradient, crossEntropy, maxPoolGradient, momentumStep };
}

interface TensorflowKernelsOptions {
  /** Called after every operation, before its inputs can be released. */
  readonly afterOperation?: (() => void) | undefined;
  /** TensorFlow's own operations alone: what runs on GPUs, tested on any device. */
  readonly stock?: boolean;
  /** No operation that TensorFlow refuses on GPUs where they are to be deterministic. */
  readonly deterministic?: boolean;
}

/**
 * Kernels by native operations, called through the backend: TensorFlow's own, and on CPUs this package's where those would
 * pass over memory more often than they must.
 */
export function tensorflowKernels(engine: Engine, options: TensorflowKernelsOptions = {}): Kernels {
  const onGpu = engine.device !== 'cpu';
  const { afterOperation = () => {}, stock = onGpu, deterministic = onGpu && engine.deterministic } = options;
  const operations = new Operations(engine, afterOperation);
  return {
    ...convolutionKernels(operations),
    ...pointwiseKernels(operations),
    ...maxPoolKernels(operations),
    ...resizeKernels(operations),
    ...crossEntropyKernels(operations, deterministic),
    ...fusedBatchNormKernels(operations),
    ...(stock ? {} : ownKernels(operations)),
  };
}
