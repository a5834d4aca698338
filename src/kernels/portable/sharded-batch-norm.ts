import type { Tensor1D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import { type Node, treeSum } from '../../support/shard-tree.js';
import { type BatchNormKernels, type ShardedBatchNormKernels, thenDispose } from '../kernels.js';
import { channelMean } from './pointwise.js';
import type { TensorFlow } from './window.js';

/** `first` and `second`, [C] each, of one shard: [1, 2, C]. */
function pair(tf: TensorFlow, first: Tensor1D, second: Tensor1D): Tensor3D {
  return tf.reshape(tf.concat1d([first, second]), [1, 2, first.shape[0]]);
}

/** One of the two numbers a channel of a shard, [C]. */
function part(tf: TensorFlow, all: Tensor3D, shard: number, which: 0 | 1): Tensor1D {
  const channels = all.shape[2];
  return tf.reshape(tf.slice3d(all, [shard, which, 0], [1, 1, channels]), [channels]);
}

/**
 * Batch norm of shards in float32. A shard's two numbers are its mean and variance, or the means of the gradient g and of
 * g·(x − mean).
 */
export function portableShardedBatchNormKernels(
  tf: TensorFlow,
  { batchNormApply }: BatchNormKernels,
): ShardedBatchNormKernels {
  const meanOf = ({ shape: [shards] }: Tensor3D, partOf: (shard: number) => Tensor1D): Tensor1D => {
    const leaf = ({ begin, end }: Node) => (end - begin === 1 ? partOf(begin) : undefined);
    const add = (a: Tensor1D, b: Tensor1D): Tensor1D => tf.add(a, b);
    return tf.div(treeSum({ begin: 0, end: shards }, leaf, add), shards);
  };

  return {
    batchNormMoments: (x) =>
      tf.tidy(() => {
        const mean = channelMean(tf, x);
        return pair(tf, mean, channelMean(tf, tf.squaredDifference(x, mean)));
      }),

    joinShards: (parts) => tf.concat3d([...parts], 0),

    batchNormOfShards(x, normalisation, activation, moments) {
      const mean = tf.tidy(() => meanOf(moments, (shard) => part(tf, moments, shard, 0)));
      // The variance within shards, and that of their means.
      const variance = tf.tidy(() =>
        meanOf(moments, (shard) =>
          tf.add(part(tf, moments, shard, 1), tf.squaredDifference(part(tf, moments, shard, 0), mean)),
        ),
      );
      const statistics = { mean, variance };
      return { y: batchNormApply(x, normalisation, statistics, activation), statistics };
    },

    batchNormGradientSums: (outputGradient, x, _normalisation, { mean }, y) =>
      tf.tidy(() => {
        const gradient: Tensor4D = y === null ? outputGradient : tf.mul(outputGradient, tf.step(y));
        const centred: Tensor4D = tf.sub(x, mean);
        const products = thenDispose(tf.mul<Tensor4D>(gradient, centred), centred);
        return pair(tf, channelMean(tf, gradient), channelMean(tf, products));
      }),

    // See `batchNormGradient` of the whole batch.
    batchNormGradientOfShards: (outputGradient, x, { gamma, epsilon }, { mean, variance }, y, sums) =>
      tf.tidy(() => {
        const count = sums.shape[0] * x.shape[0] * x.shape[1] * x.shape[2];
        const gradient: Tensor4D = y === null ? outputGradient : tf.tidy(() => tf.mul(outputGradient, tf.step(y)));
        const inverseDeviation: Tensor1D = tf.rsqrt(tf.add(variance, epsilon));
        const gradientMean = meanOf(sums, (shard) => part(tf, sums, shard, 0));
        const productMean = meanOf(sums, (shard) => part(tf, sums, shard, 1));
        const slope = tf.mul(tf.square(inverseDeviation), productMean);
        const correction: Tensor4D = tf.tidy(() => tf.add(tf.mul(tf.sub(x, mean), slope), gradientMean));
        const corrected = thenDispose(tf.sub<Tensor4D>(gradient, correction), correction);
        return {
          x: tf.mul<Tensor4D>(corrected, tf.mul(gamma, inverseDeviation)),
          gamma: tf.mul<Tensor1D>(tf.mul(productMean, count), inverseDeviation),
          beta: tf.mul<Tensor1D>(gradientMean, count),
        };
      }),
  };
}
