import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvolutionPath, Engine } from '../../engines/engine.js';
import {
  type Activation,
  type BatchNormKernels,
  type ConvolutionShape,
  type CrossEntropyKernels,
  type Kernels,
  readingAtOnce,
  type ShardedBatchNormKernels,
  thenDispose,
} from '../kernels.js';
import { portableShardedBatchNormKernels } from '../portable/sharded-batch-norm.js';
import { tensorflowConvolutionKernels } from './convolution.js';
import { pathOn } from './convolution-path.js';
import { tensorflowCrossEntropyKernels } from './cross-entropy.js';
import { fusedBatchNormKernels } from './fused-batch-norm.js';
import { Operations } from './operations.js';
import { tensorflowMaxPoolKernels, tensorflowPointwiseKernels, tensorflowResizeKernels } from './pointwise.js';
import { WinogradConvolutions } from './winograd.js';

type OwnKernels = BatchNormKernels &
  ShardedBatchNormKernels &
  CrossEntropyKernels &
  Pick<Kernels, 'allFinite' | 'maxPoolGradient' | 'momentumStep' | 'reluGradient'>;

/** Batch norm, of shards or not, by operations of this package. */
function ownBatchNormKernels(operations: Operations): BatchNormKernels & ShardedBatchNormKernels {
  function batchNormAttributes(x: Tensor4D, epsilon: number, { relu, residual }: Activation) {
    return [
      operations.typeOf(x),
      operations.float('epsilon', epsilon),
      operations.attribute('relu', relu),
      operations.attribute('add', residual !== undefined),
    ];
  }

  return {
    runningStatistics(running, { mean, variance }, momentum, count) {
      const attributes = [
        operations.float('momentum', momentum),
        operations.float('unbiased', count / Math.max(count - 1, 1)),
      ];
      operations.runMany('FcnRunningStatistics', attributes, [mean, variance, running.mean, running.variance], 0);
      return running;
    },

    batchNorm(x, { gamma, beta, epsilon }, activation) {
      // Without a residual the operation ignores the input in its place.
      const inputs = [x, gamma, beta, activation.residual ?? x];
      const attributes = batchNormAttributes(x, epsilon, activation);
      const [y, mean, variance] = operations.runMany('FcnBatchNorm', attributes, inputs, 3);
      return { y: y as Tensor4D, statistics: { mean: mean as Tensor1D, variance: variance as Tensor1D } };
    },

    batchNormApply(x, { gamma, beta, epsilon }, { mean, variance }, activation) {
      const inputs = [x, gamma, beta, activation.residual ?? x, mean, variance];
      return operations.run('FcnBatchNormApply', batchNormAttributes(x, epsilon, activation), inputs);
    },

    batchNormGradient(gradient, x, { gamma, beta, epsilon }, { mean, variance }, y) {
      // The operation finds the ReLU's cuts from x, which it reads anyway: it need not read y.
      const attributes = batchNormAttributes(x, epsilon, { relu: y !== null });
      const inputs = [gradient, x, gamma, beta, mean, variance];
      const [dx, dgamma, dbeta] = operations.runMany('FcnBatchNormGradient', attributes, inputs, 3);
      return { x: dx as Tensor4D, gamma: dgamma as Tensor1D, beta: dbeta as Tensor1D };
    },

    batchNormMoments: (x) => operations.run('FcnBatchNormMoments', [operations.typeOf(x)], [x]),

    // TensorFlow joins two tensors or more.
    joinShards: (parts) =>
      parts.length === 1 ? operations.engine.tf.clone(parts[0]!) : operations.concatenate(parts, 0),

    batchNormOfShards(x, { gamma, beta, epsilon }, activation, moments) {
      const inputs = [x, gamma, beta, activation.residual ?? x, moments];
      const attributes = batchNormAttributes(x, epsilon, activation);
      const [y, mean, variance] = operations.runMany('FcnBatchNormOfShards', attributes, inputs, 3);
      return { y: y as Tensor4D, statistics: { mean: mean as Tensor1D, variance: variance as Tensor1D } };
    },

    batchNormGradientSums(gradient, x, { gamma, beta, epsilon }, { mean, variance }, y) {
      const attributes = batchNormAttributes(x, epsilon, { relu: y !== null });
      return operations.run('FcnBatchNormGradientSums', attributes, [gradient, x, gamma, beta, mean, variance]);
    },

    batchNormGradientOfShards(gradient, x, { gamma, beta, epsilon }, { mean, variance }, y, sums) {
      const attributes = batchNormAttributes(x, epsilon, { relu: y !== null });
      const inputs = [gradient, x, gamma, beta, mean, variance, sums];
      const [dx, dgamma, dbeta] = operations.runMany('FcnBatchNormGradientOfShards', attributes, inputs, 3);
      return { x: dx as Tensor4D, gamma: dgamma as Tensor1D, beta: dbeta as Tensor1D };
    },
  };
}

/** Kernels by the operations that this package adds to TensorFlow on CPUs (src/engines/native/operations). */
function ownKernels(operations: Operations): OwnKernels {
  const { tf } = operations.engine;

  return {
    ...ownBatchNormKernels(operations),

    allFinite: (tensors) =>
      // An operation takes tensors of one type.
      [tensors.filter((x) => operations.isHalf(x)), tensors.filter((x) => !operations.isHalf(x))].every((some) => {
        if (some.length === 0) return true;
        const attributes = [operations.attribute('N', some.length), operations.typeOf(some[0]!)];
        const finite = operations.run<Tensor>('FcnAllFinite', attributes, some);
        return thenDispose(finite.dataSync()[0] !== 0, finite);
      }),

    reluGradient([gradient, other], y) {
      // Without a second gradient the operation ignores the input in its place.
      const attributes = [operations.typeOf(y), operations.attribute('add', other !== undefined)];
      operations.runMany('FcnReluGradient', attributes, [gradient, other ?? y, y], 0);
      other?.dispose();
      return gradient;
    },

    crossEntropy(logits, labels, ignoreIndex) {
      const attributes = [operations.attribute('ignored', ignoreIndex)];
      const [loss, correct, gradient] = operations.runMany('FcnCrossEntropy', attributes, [logits, labels], 3);
      return { loss: loss!, correct: correct!, gradient: gradient as Tensor4D };
    },

    maxPoolGradient: (gradient, x, y) => operations.run('FcnMaxPoolGradient', [operations.typeOf(x)], [gradient, x, y]),

    momentumStep(parameter, gradient, velocity, { learningRate, momentum, weightDecay, gradientFactor = 1 }) {
      const settings = tf.tensor1d([learningRate, momentum, weightDecay, gradientFactor]);
      const inputs = [parameter, gradient, velocity, settings];
      operations.runMany('FcnMomentumStep', [operations.typeOf(gradient, 'G')], inputs, 0);
      // The same memory, written in place, in new tensors.
      const result = { parameter: tf.clone(parameter), velocity: tf.clone(velocity) };
      return thenDispose(result, settings, gradient, parameter, velocity);
    },
  };
}

interface TensorflowKernelsOptions {
  /** Called after every operation, before its inputs can be released. */
  readonly afterOperation?: (() => void) | undefined;
  /** TensorFlow's own operations alone: those that run on GPUs, tested on any device. */
  readonly stock?: boolean;
  /** The path of a convolution 3×3 of stride 1; default: `pathOn` if the engine's convolutions are fast, else direct. */
  readonly convolutionPath?: (shape: ConvolutionShape) => ConvolutionPath;
  /** Whether filter gradients must have the same bits on any number of threads; default: false. */
  readonly anyThreads?: boolean | undefined;
  /** No operation that TensorFlow refuses on GPUs in deterministic mode. */
  readonly deterministic?: boolean;
}

/**
 * Kernels by native operations, called through the backend: TensorFlow's own, and on CPUs this package's where TensorFlow's
 * would make more passes over memory than needed.
 */
export function tensorflowKernels(engine: Engine, options: TensorflowKernelsOptions = {}): Kernels {
  const onGpu = engine.device !== 'cpu';
  const { afterOperation = () => {}, stock = onGpu, deterministic = onGpu && engine.deterministic } = options;
  const onEngine = (shape: ConvolutionShape) => pathOn(engine, shape);
  const { convolutionPath = engine.convolution === 'fast' && !stock ? onEngine : null } = options;
  const operations = new Operations(engine, afterOperation);
  const winograd = convolutionPath === null ? null : new WinogradConvolutions(operations, convolutionPath);
  const fusedBatchNorm = fusedBatchNormKernels(operations);
  return readingAtOnce({
    ...tensorflowConvolutionKernels(operations, {
      winograd,
      activation: !stock,
      anyThreads: options.anyThreads === true && !stock,
    }),
    ...tensorflowPointwiseKernels(operations),
    ...tensorflowMaxPoolKernels(operations),
    ...tensorflowResizeKernels(operations),
    ...tensorflowCrossEntropyKernels(operations, deterministic),
    ...fusedBatchNorm,
    ...portableShardedBatchNormKernels(engine.tf, fusedBatchNorm),
    ...(stock ? {} : ownKernels(operations)),
  });
}
