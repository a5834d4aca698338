import type { Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Activation, BatchNormStatistics, Kernels, Normalisation } from '../kernels.js';
import type { TensorFlow } from './window.js';

/** Batch norm over N, H and W. The mean is always subtracted first: (x·scale + shift) would cancel where |mean| ≫ σ. */
export function batchNormKernels(tf: TensorFlow): Pick<Kernels, 'batchNorm' | 'batchNormApply' | 'batchNormGradient'> {
  /** Means over N, H and W, in two steps: float32 sums of as many as a whole batch's pixels would lose digits. */
  function channelMean(x: Tensor4D): Tensor1D {
    const [images, height, width, channels] = x.shape;
    return tf.tidy(() => {
      const rows = tf.reshape(x, [images * height, width * channels]) as Tensor2D;
      const columnMeans = tf.reshape(tf.mean(rows, 0), [width, channels]) as Tensor2D;
      return tf.mean(columnMeans, 0) as Tensor1D;
    });
  }

  function batchNorm(x: Tensor4D, normalisation: Normalisation, activation: Activation) {
    const mean = channelMean(x);
    const variance = tf.tidy(() => channelMean(tf.squaredDifference(x, mean)));
    const statistics = { mean, variance };
    return { y: batchNormApply(x, normalisation, statistics, activation), statistics };
  }

  function batchNormApply(
    x: Tensor4D,
    { gamma, beta, epsilon }: Normalisation,
    { mean, variance }: BatchNormStatistics,
    { relu, residual }: Activation,
  ): Tensor4D {
    return tf.tidy(() => {
      const scale = tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon)));
      const scaled: Tensor4D = tf.tidy(() => tf.mul(tf.sub(x, mean), scale));
      const normalised: Tensor4D = tf.add(scaled, beta);
      scaled.dispose();
      const sum: Tensor4D = residual === undefined ? normalised : tf.add(normalised, residual);
      return relu ? tf.relu(sum) : sum;
    });
  }

  /**
   * With c = x − μ, r = 1/√(σ² + ε), M values in a channel and y = γ·r·c + β:
   *
   *   ∂L/∂β = Σ g,  ∂L/∂γ = r·Σ g·c.
   *
   * x reaches y directly (factor γr), through μ (every y moves by −γr/M; the variance does not, as Σ c = 0) and through
   * σ² (∂σ²/∂x = 2c/M, ∂r/∂σ² = −r³/2, so every y moves by −γ·r³·c·c_x/M). Summed over the channel:
   *
   *   ∂L/∂x = γ·r·(g − mean(g) − c·r²·mean(g·c)).
   */
  function batchNormGradient(
    outputGradient: Tensor4D,
    x: Tensor4D,
    { gamma, epsilon }: Normalisation,
    { mean, variance }: BatchNormStatistics,
    y: Tensor4D | null,
  ) {
    const count = x.shape[0] * x.shape[1] * x.shape[2];
    return tf.tidy(() => {
      const gradient: Tensor4D = y === null ? outputGradient : tf.tidy(() => tf.mul(outputGradient, tf.step(y)));
      const inverseDeviation: Tensor1D = tf.rsqrt(tf.add(variance, epsilon));
      const centred: Tensor4D = tf.sub(x, mean);
      const gradientMean = channelMean(gradient);
      const productMean = tf.tidy(() => channelMean(tf.mul(gradient, centred)));
      const slope = tf.mul(tf.square(inverseDeviation), productMean);
      const correction = tf.tidy(() => tf.add(tf.mul(centred, slope), gradientMean));
      centred.dispose();
      const corrected: Tensor4D = tf.sub(gradient, correction);
      correction.dispose();
      return {
        x: tf.mul<Tensor4D>(corrected, tf.mul(gamma, inverseDeviation)),
        gamma: tf.mul<Tensor1D>(tf.mul(productMean, count), inverseDeviation),
        beta: tf.mul<Tensor1D>(gradientMean, count),
      };
    });
  }

  return { batchNorm, batchNormApply, batchNormGradient };
}
