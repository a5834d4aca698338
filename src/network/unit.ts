import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Activation, BatchNormStatistics } from '../kernels/kernels.js';
import type { UnitSpec } from './architecture.js';
import type { TrainingPass, Value } from './tape.js';

/** PyTorch's defaults, which the published models use. */
export const BATCH_NORM_EPSILON = 1e-5;
const BATCH_NORM_MOMENTUM = 0.1;

/** A convolution followed by batch norm, whose backward step the caller runs. */
export interface NormalisedConvolution {
  /** Normalises and activates; the caller owns the result. Called again, it computes the same again. */
  output(activation: Activation): Tensor4D;
  /**
   * Takes ownership of the gradient; to be called once. `activated` is the output where it had a ReLU and no residual, and is
   * released here; null where the gradient is that of the normalised value itself.
   */
  backward(gradient: Tensor4D, activated: Value | null): void;
}

/** Convolution and batch norm in training mode. Of its own tensors only the convolution's output is kept. */
export function normalisedConvolution(pass: TrainingPass, spec: UnitSpec, x: Value): NormalisedConvolution {
  const { kernels, parameters } = pass;
  const filterPath = `${spec.path}.weight`;
  const gammaPath = `${spec.normPath}.weight`;
  const betaPath = `${spec.normPath}.bias`;
  const convolved = kernels.convolution(x.tensor(), parameters.get<Tensor4D>(filterPath), spec.geometry);
  const normalisation = () => ({
    gamma: parameters.get<Tensor1D>(gammaPath),
    beta: parameters.get<Tensor1D>(betaPath),
    epsilon: BATCH_NORM_EPSILON,
  });
  let statistics: BatchNormStatistics | null = null;

  function output(activation: Activation): Tensor4D {
    if (statistics !== null) return kernels.batchNormApply(convolved, normalisation(), statistics, activation);
    const result = kernels.batchNorm(convolved, normalisation(), activation);
    statistics = result.statistics;
    updateRunningStatistics(pass, spec, statistics, convolved.size / spec.outputChannels);
    return result.y;
  }

  function backward(gradient: Tensor4D, activated: Value | null): void {
    if (statistics === null) throw new Error(`${spec.path} has no output to differentiate.`);
    const y = activated?.tensor() ?? null;
    const norm = kernels.batchNormGradient(gradient, convolved, normalisation(), statistics, y);
    activated?.release();
    for (const tensor of [gradient, convolved, statistics.mean, statistics.variance]) tensor.dispose();
    const filter = parameters.get<Tensor4D>(filterPath);
    if (x.needsGradient) x.addGradient(kernels.convolutionInputGradient(norm.x, filter, x.shape, spec.geometry));
    const filterGradient = kernels.convolutionFilterGradient(norm.x, x.tensor(), filter.shape, spec.geometry);
    norm.x.dispose();
    // First: whether a gradient is finite is looked at here.
    pass.update(filterPath, filterGradient);
    pass.update(gammaPath, norm.gamma);
    pass.update(betaPath, norm.beta);
  }

  return { output, backward };
}

/** Convolution, batch norm and ReLU in training mode. The result can rest: it is computed again from the convolution's output. */
export function convolutionUnit(pass: TrainingPass, spec: UnitSpec, x: Value): Value {
  const { tape } = pass;
  const convolution = normalisedConvolution(pass, spec, x);
  const output = () => convolution.output({ relu: true });
  const value = tape.value(output(), output);
  tape.push(() => convolution.backward(value.takeGradient(), value));
  return value;
}

/**
 * running ← (1 − momentum)·running + momentum·batch. The running variance takes the unbiased one:
 * biased · count/(count − 1) with count = N·H·W.
 */
function updateRunningStatistics(
  { tf, parameters }: TrainingPass,
  spec: UnitSpec,
  { mean, variance }: BatchNormStatistics,
  count: number,
): void {
  const blend = (path: string, batch: Tensor1D, factor: number): void => {
    const next = tf.tidy(() =>
      tf.add(
        tf.mul(parameters.get<Tensor1D>(path), 1 - BATCH_NORM_MOMENTUM),
        tf.mul(batch, BATCH_NORM_MOMENTUM * factor),
      ),
    );
    parameters.set(path, next);
  };
  blend(`${spec.normPath}.running_mean`, mean, 1);
  blend(`${spec.normPath}.running_var`, variance, count / Math.max(count - 1, 1));
}
