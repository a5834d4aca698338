import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Architecture, BlockSpec } from './architecture.js';
import type { TrainingPass, Value } from './tape.js';
import { convolutionUnit, normalisedConvolution } from './unit.js';

/**
 * ResNet (He et al., CVPR 2016) in training mode, with dilated stages: images [N,H,W,3] → the four stages' outputs.
 */
export async function resnet(pass: TrainingPass, network: Architecture, images: Value): Promise<Value[]> {
  let x = images;
  for (const unit of network.stem) {
    const y = convolutionUnit(pass, unit, x);
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

/** relu(units(x) + identity), where the identity is x or its projection. */
async function residualBlock(pass: TrainingPass, block: BlockSpec, x: Value): Promise<Value> {
  const { kernels, tape } = pass;
  let inner = x;
  for (const unit of block.units.slice(0, -1)) {
    const y = convolutionUnit(pass, unit, inner);
    if (inner !== x) inner.rest();
    inner = y;
    await pass.pause();
  }
  const projection = block.downsample === null ? null : normalisedConvolution(pass, block.downsample, x);
  const last = normalisedConvolution(pass, block.units.at(-1)!, inner);
  if (inner !== x) inner.rest();
  const output = (): Tensor4D => {
    const projected = projection?.output({ relu: false });
    const joined = last.output({ relu: true, residual: projected ?? x.tensor() });
    projected?.dispose();
    return joined;
  };
  // Computing it again needs x where there is no projection: only from an x that is kept, or such computations would chain.
  const canRest = projection !== null || !x.canRest;
  const value = tape.value(output(), canRest ? output : null);
  tape.push(() => {
    const gradient = value.takeGradient();
    const masked = kernels.reluGradient(gradient, value.tensor());
    gradient.dispose();
    value.release();
    // Both paths get the same gradient: two handles on one buffer.
    const shared = masked.clone();
    if (projection === null) x.addGradient(shared);
    else projection.backward(shared, null);
    last.backward(masked, null);
  });
  await pass.pause();
  return value;
}
