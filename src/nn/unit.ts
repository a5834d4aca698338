import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { BatchNormStatistics } from '../kernels/kernels.js';
import type { UnitSpec } from './architecture.js';
import type { TrainingPass } from './pass.js';
import type { Value } from './tape.js';

/** PyTorch's defaults, which the published models use. */
export const BATCH_NORM_EPSILON = 1e-5;
const BATCH_NORM_MOMENTUM = 0.1;

/** A normalised output whose backward step the caller runs. */
export interface Normalised {
  /** Owned by the caller. */
  readonly output: Tensor4D;
  /** Computes the output again. */
  rebuild(): Tensor4D;
  /** Takes ownership of the output's gradient; to be called once. */
  backward(gradient: Tensor4D): void;
}

/** Convolution and batch norm in training mode, without ReLU. Of its own tensors only the convolution's output is kept. */
export function normalisedConvolution(pass: TrainingPass, spec: UnitSpec, x: Value): Normalised {
  const { kernels, parameters } = pass;
  const filterPath = `${spec.path}.weight`;
  const gammaPath = `${spec.normPath}.weight`;
  const betaPath = `${spec.normPath}.bias`;
  const convolved = kernels.convolution(x.tensor(), parameters.get<Tensor4D>(filterPath), spec.geometry);
  const gamma = () => parameters.get<Tensor1D>(gammaPath);
  const beta = () => parameters.get<Tensor1D>(betaPath);
  const { y, statistics } = kernels.batchNorm(convolved, gamma(), beta(), BATCH_NORM_EPSILON);
  updateRunningStatistics(pass, spec, statistics, convolved.size / spec.outputChannels);

  function backward(gradient: Tensor4D): void {
    const norm = kernels.batchNormGradient(gradient, convolved, gamma(), statistics, BATCH_NORM_EPSILON);
    for (const tensor of [gradient, convolved, statistics.mean, statistics.variance]) tensor.dispose();
    pass.update(gammaPath, norm.gamma);
    pass.update(betaPath, norm.beta);
    const filter = parameters.get<Tensor4D>(filterPath);
    if (x.needsGradient) x.addGradient(kernels.convolutionInputGradient(norm.x, filter, x.shape, spec.geometry));
    const filterGradient = kernels.convolutionFilterGradient(norm.x, x.tensor(), filter.shape, spec.geometry);
    norm.x.dispose();
    pass.update(filterPath, filterGradient);
  }

  return {
    output: y,
    rebuild: () => kernels.batchNormApply(convolved, gamma(), beta(), statistics, BATCH_NORM_EPSILON),
    backward,
  };
}

/** Convolution, batch norm and ReLU in training mode. The result can rest: it is computed again from the convolution's output. */
export function convolutionUnit(pass: TrainingPass, spec: UnitSpec, x: Value): Value {
  const { kernels, tape } = pass;
  const normalised = normalisedConvolution(pass, spec, x);
  const activate = (input: Tensor4D): Tensor4D => {
    const output = kernels.relu(input);
    input.dispose();
    return output;
  };
  const value = tape.value(activate(normalised.output), () => activate(normalised.rebuild()));
  tape.push(() => {
    const gradient = value.takeGradient();
    const masked = kernels.reluGradient(gradient, value.tensor());
    gradient.dispose();
    value.release();
    normalised.backward(masked);
  });
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
