import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Activation, BatchNormStatistics } from '../kernels/kernels.js';
import type { Architecture, BlockSpec, UnitSpec } from './architecture.js';
import type { TrainingPass, Value } from './tape.js';

/** PyTorch's defaults, as in the published models. */
export const BATCH_NORM_EPSILON = 1e-5;
const BATCH_NORM_MOMENTUM = 0.1;

/** A convolution followed by batch norm; the caller runs its backward step. */
interface NormalisedConvolution {
  /** Normalises and activates; the caller owns the result. Call it once. */
  output(activation: Activation): Promise<Tensor4D>;
  /** The same again. */
  rebuild(activation: Activation): Tensor4D;
  /**
   * Takes ownership of the gradient; call it once. `activated` is the output if it had a ReLU and no residual, and is
   * released here; null if the gradient is that of the normalised value itself.
   */
  backward(gradient: Tensor4D, activated: Value | null): Promise<void>;
}

/** Convolution and batch norm in training mode. It keeps only the convolution's output. */
function normalisedConvolution(pass: TrainingPass, spec: UnitSpec, x: Value): NormalisedConvolution {
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

  const known = (): BatchNormStatistics => {
    if (statistics === null) throw new Error(`${spec.path} has no output yet.`);
    return statistics;
  };

  async function output(activation: Activation): Promise<Tensor4D> {
    const result = await pass.norm.batchNorm(convolved, normalisation(), activation);
    statistics = result.statistics;
    updateRunningStatistics(pass, spec, statistics, (pass.shards * convolved.size) / spec.outputChannels);
    return result.y;
  }

  const rebuild = (activation: Activation) => kernels.batchNormApply(convolved, normalisation(), known(), activation);

  async function backward(gradient: Tensor4D, activated: Value | null): Promise<void> {
    const statistics = known();
    const y = activated?.tensor() ?? null;
    const norm = await pass.norm.batchNormGradient(gradient, convolved, normalisation(), statistics, y);
    activated?.release();
    for (const tensor of [gradient, convolved, statistics.mean, statistics.variance]) tensor.dispose();
    const filter = parameters.get<Tensor4D>(filterPath);
    const filterGradient = kernels.convolutionFilterGradient(norm.x, x.tensor(), filter.shape, spec.geometry);
    x.consumed();
    if (x.needsGradient) x.addGradient(kernels.convolutionInputGradient(norm.x, filter, x.shape, spec.geometry));
    norm.x.dispose();
    // The filter first: its update checks that gradients are finite.
    pass.update(filterPath, filterGradient);
    pass.updateOfBatch(gammaPath, norm.gamma);
    pass.updateOfBatch(betaPath, norm.beta);
  }

  return { output, rebuild, backward };
}

/** Convolution, batch norm and ReLU in training mode. The result can rest: it is recomputed from the convolution's output. */
export async function convolutionUnit(pass: TrainingPass, spec: UnitSpec, x: Value): Promise<Value> {
  const { tape } = pass;
  const convolution = normalisedConvolution(pass, spec, x);
  const activation = { relu: true };
  const value = tape.value(await convolution.output(activation), () => convolution.rebuild(activation));
  tape.push(() => convolution.backward(value.takeGradient(), value));
  return value;
}

/** @param count Values of a channel in the batch. */
function updateRunningStatistics(
  { kernels, parameters, moveRunning }: TrainingPass,
  spec: UnitSpec,
  batch: BatchNormStatistics,
  count: number,
): void {
  const [meanPath, variancePath] = [`${spec.normPath}.running_mean`, `${spec.normPath}.running_var`];
  moveRunning(batch, (statistics) => {
    const running = { mean: parameters.get<Tensor1D>(meanPath), variance: parameters.get<Tensor1D>(variancePath) };
    const next = kernels.runningStatistics(running, statistics, BATCH_NORM_MOMENTUM, count);
    parameters.replace(meanPath, next.mean);
    parameters.replace(variancePath, next.variance);
  });
}

/**
 * ResNet (He et al., CVPR 2016) in training mode, with dilated stages: images [N,H,W,3] → the four stages' outputs.
 */
export async function resnet(pass: TrainingPass, network: Architecture, images: Value): Promise<Value[]> {
  let x = images;
  for (const unit of network.stem) {
    const y = await convolutionUnit(pass, unit, x);
    x.rest();
    x = y;
    await pass.pause();
  }
  const pooled = maxPool(pass, x);
  x.rest();
  x = pooled;
  const stages: Value[] = [];
  for (const blocks of network.stages) {
    for (const block of blocks) {
      const y = await residualBlock(pass, block, x);
      x.rest();
      x = y;
    }
    stages.push(x);
  }
  return stages;
}

function maxPool({ kernels, tape }: TrainingPass, x: Value): Value {
  const value = tape.value(kernels.maxPool(x.tensor()));
  tape.push(() => {
    const gradient = value.takeGradient();
    x.addGradient(kernels.maxPoolGradient(gradient, x.tensor(), value.tensor()));
    gradient.dispose();
    value.release();
  });
  return value;
}

/** relu(units(x) + identity); the identity is x or its projection. */
async function residualBlock(pass: TrainingPass, block: BlockSpec, x: Value): Promise<Value> {
  const { kernels, tape } = pass;
  let inner = x;
  for (const unit of block.units.slice(0, -1)) {
    const y = await convolutionUnit(pass, unit, inner);
    if (inner !== x) inner.rest();
    inner = y;
    await pass.pause();
  }
  const projection = block.downsample === null ? null : normalisedConvolution(pass, block.downsample, x);
  const last = normalisedConvolution(pass, block.units.at(-1)!, inner);
  if (inner !== x) inner.rest();
  const projected = await projection?.output({ relu: false });
  const joined = await last.output({ relu: true, residual: projected ?? x.tensor() });
  projected?.dispose();
  const rebuild = (): Tensor4D => {
    const projected = projection?.rebuild({ relu: false });
    const joined = last.rebuild({ relu: true, residual: projected ?? x.tensor() });
    projected?.dispose();
    return joined;
  };
  // Without a projection, recomputing needs x: allowed only if x is kept, or recomputations would chain.
  const canRest = projection !== null || !x.canRest;
  const value = tape.value(joined, canRest ? rebuild : null);
  tape.push(async () => {
    const masked = kernels.reluGradient(value.takeGradients(), value.tensor());
    value.release();
    // Both paths get the same gradient: two handles on one buffer.
    const shared = masked.clone();
    if (projection === null) x.addGradient(shared);
    else await projection.backward(shared, null);
    await last.backward(masked, null);
  });
  await pass.pause();
  return value;
}
