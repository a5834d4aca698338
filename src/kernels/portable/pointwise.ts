import type { Scalar, Tensor1D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import { type BatchNormKernels, type CrossEntropyKernels, type PointwiseKernels, thenDispose } from '../kernels.js';
import type { TensorFlow } from './window.js';

/** ReLU, addition, channels joined, cut and scaled, the SGD update, softmax and argmax. */
export function portablePointwiseKernels(tf: TensorFlow): PointwiseKernels {
  return {
    cast(x, precision) {
      if (precision !== 'fp32') throw new Error(`The portable kernels compute in float32, not in ${precision}.`);
      return tf.clone(x);
    },
    // A value that is not finite times 0 is NaN, and so is a sum with it.
    allFinite: (tensors) => tensors.every((x) => tf.tidy(() => tf.sum(tf.mul(x, 0)).dataSync()[0] === 0)),
    // Two reductions: magnitudes would be one more map in memory.
    largestMagnitude: (x, nonNegative = false) =>
      tf.tidy(() => {
        const largest = tf.max(x).dataSync()[0]!;
        return nonNegative ? largest : Math.max(largest, -tf.min(x).dataSync()[0]!);
      }),
    relu: (x) => tf.relu(x),
    reluGradient([gradient, other], y) {
      const sum = other === undefined ? gradient : thenDispose(tf.add(gradient, other), gradient, other);
      return thenDispose(
        tf.tidy(() => tf.mul<Tensor4D>(sum, tf.step(y))),
        sum,
      );
    },
    add: (a, b) => tf.add(a, b),
    concatenateChannels: (a, b) => tf.concat([a, b], 3),
    sliceChannels: (x, begin, size) => tf.slice4d(x, [0, 0, 0, begin], [-1, -1, -1, size]),
    scaleChannels: (x, factors) => tf.mul(x, factors),
    momentumStep(parameter, gradient, velocity, { learningRate, momentum, weightDecay, gradientFactor = 1 }) {
      const decay = tf.mul(parameter, weightDecay);
      const unscaled = gradientFactor === 1 ? gradient : thenDispose(tf.mul(gradient, gradientFactor), gradient);
      const decayed = thenDispose(tf.add(unscaled, decay), unscaled, decay);
      const kept = thenDispose(tf.mul(velocity, momentum), velocity);
      const next = thenDispose(tf.add<typeof velocity>(kept, decayed), kept, decayed);
      const change = tf.mul(next, learningRate);
      const moved = thenDispose(tf.sub<typeof parameter>(parameter, change), parameter, change);
      return { parameter: moved, velocity: next };
    },
    argmax: (x) => tf.argMax<Tensor3D>(x, 3),
    softmax: (x) => tf.softmax(x),
  };
}

/** Cross-entropy with an ignored label. Other labels must be in [0, classes); readers of data check that. */
export function portableCrossEntropyKernels(tf: TensorFlow): CrossEntropyKernels {
  return {
    /**
     * With p = softmax(z): the loss is log Σ exp z − z_label, where log Σ exp z = max z − log max p (the largest p is
     * exp 0 / Σ exp(z − max z)). So no exponentials but softmax's are needed, and no logarithm of a p that underflowed.
     * The gradient of the loss is p − onehot(label).
     */
    crossEntropy(logits, labels, ignoreIndex) {
      const [images, height, width, classes] = logits.shape;
      const pixels = images * height * width;
      return tf.tidy(() => {
        const counted = tf.notEqual<Tensor3D>(labels, tf.scalar(ignoreIndex, 'int32'));
        const mask = tf.cast(counted, 'float32');
        // Ignored labels may be no classes, and one-hot treats those differently on each backend.
        const safeLabels = tf.mul(labels, tf.cast(counted, 'int32'));
        // int32 and a cast, because the WebAssembly backend writes integers into a float32 one-hot.
        const oneHot = tf.tidy(() => tf.cast(tf.oneHot(safeLabels, classes), 'float32')) as Tensor4D;
        const probabilities = tf.softmax(logits);

        const loss = tf.tidy(() => {
          const labelled = tf.sum(tf.mul(logits, oneHot), 3);
          const largest = tf.sub(tf.max(logits, 3), labelled);
          const losses = tf.mul(tf.sub(largest, tf.log(tf.max(probabilities, 3))), mask);
          // Row by row: a float32 sum over all of a batch's pixels would lose digits.
          return tf.mean(tf.mean(losses, 2)) as Scalar;
        });
        const difference = thenDispose(tf.sub<Tensor4D>(probabilities, oneHot), oneHot, probabilities);
        const weights = tf.reshape(tf.div(mask, pixels), [images, height, width, 1]);
        const gradient = tf.mul<Tensor4D>(difference, weights);

        const hits = tf.logicalAnd(tf.equal(tf.argMax(logits, 3), labels), counted);
        const correct: Scalar = tf.sum(tf.cast(hits, 'int32'));
        return { loss, correct, gradient };
      });
    },
  };
}

/** Means over N, H and W, in two steps: float32 sums over all of a batch's pixels would lose digits. */
export function channelMean(tf: TensorFlow, x: Tensor4D): Tensor1D {
  const [images, height, width, channels] = x.shape;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [images * height, width * channels]);
    return tf.mean(tf.reshape(tf.mean(rows, 0), [width, channels]), 0);
  });
}

/** `BatchNormKernels.runningStatistics` by TensorFlow.js's operations. */
export function runningStatistics(tf: TensorFlow): BatchNormKernels['runningStatistics'] {
  return (running, batch, momentum, count) => {
    const blend = (old: Tensor1D, next: Tensor1D, factor: number): Tensor1D =>
      thenDispose(
        tf.tidy(() => tf.add(tf.mul(old, 1 - momentum), tf.mul(next, momentum * factor))),
        old,
      );
    return {
      mean: blend(running.mean, batch.mean, 1),
      variance: blend(running.variance, batch.variance, count / Math.max(count - 1, 1)),
    };
  };
}

/** Batch norm over N, H and W. The mean is always subtracted first: (x·scale + shift) would cancel if |mean| ≫ σ. */
export function portableBatchNormKernels(tf: TensorFlow): BatchNormKernels {
  const batchNormApply: BatchNormKernels['batchNormApply'] = (
    x,
    { gamma, beta, epsilon },
    { mean, variance },
    { relu, residual },
  ) =>
    tf.tidy(() => {
      const scale = tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon)));
      const scaled: Tensor4D = tf.tidy(() => tf.mul(tf.sub(x, mean), scale));
      const normalised = thenDispose(tf.add<Tensor4D>(scaled, beta), scaled);
      const sum = residual === undefined ? normalised : tf.add<Tensor4D>(normalised, residual);
      return relu ? tf.relu(sum) : sum;
    });

  return {
    batchNorm(x, normalisation, activation) {
      const mean = channelMean(tf, x);
      const variance = tf.tidy(() => channelMean(tf, tf.squaredDifference(x, mean)));
      const statistics = { mean, variance };
      return { y: batchNormApply(x, normalisation, statistics, activation), statistics };
    },

    batchNormApply,
    runningStatistics: runningStatistics(tf),

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
    batchNormGradient(outputGradient, x, { gamma, epsilon }, { mean, variance }, y) {
      const count = x.shape[0] * x.shape[1] * x.shape[2];
      return tf.tidy(() => {
        const gradient: Tensor4D = y === null ? outputGradient : tf.tidy(() => tf.mul(outputGradient, tf.step(y)));
        const inverseDeviation: Tensor1D = tf.rsqrt(tf.add(variance, epsilon));
        const centred: Tensor4D = tf.sub(x, mean);
        const gradientMean = channelMean(tf, gradient);
        const productMean = tf.tidy(() => channelMean(tf, tf.mul(gradient, centred)));
        const slope = tf.mul(tf.square(inverseDeviation), productMean);
        const correction = thenDispose(
          tf.tidy(() => tf.add(tf.mul(centred, slope), gradientMean)),
          centred,
        );
        const corrected = thenDispose(tf.sub<Tensor4D>(gradient, correction), correction);
        return {
          x: tf.mul<Tensor4D>(corrected, tf.mul(gamma, inverseDeviation)),
          gamma: tf.mul<Tensor1D>(tf.mul(productMean, count), inverseDeviation),
          beta: tf.mul<Tensor1D>(gradientMean, count),
        };
      });
    },
  };
}
