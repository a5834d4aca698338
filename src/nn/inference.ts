import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Precision } from '../experiments/experiment.js';
import type { Kernels } from '../kernels/kernels.js';
import { noPause, type Pause } from '../support/pauses.js';
import { type Architecture, type BlockSpec, headConvolutions, type UnitSpec } from './architecture.js';
import type { InferenceNetwork } from './network.js';
import { BATCH_NORM_EPSILON } from './unit.js';

/** A filter (HWIO) and a bias, with batch norm folded in. */
interface Folded {
  readonly filter: Tensor4D;
  readonly bias: Tensor1D;
}

/** Gives the value of a parameter, by its path, as a tensor that the caller owns. Filters are HWIO. */
export type ParameterSource = (path: string) => tfjs.Tensor;

/**
 * The network for inference: batch norm folded into the convolutions,
 * w′ = w·γ/√(variance + ε), b′ = β − mean·γ/√(variance + ε); the auxiliary head left out.
 * Every parameter is read once; the network owns what it makes of it, and where one cannot be read, nothing is left. In a 16-bit precision filters and images are stored in
 * it; the images that go in and the logits that come out are float32.
 */
export function foldedNetwork(
  tf: typeof tfjs,
  kernels: Kernels,
  network: Architecture,
  source: ParameterSource,
  precision: Precision = 'fp32',
): InferenceNetwork {
  const { decodeHead } = network;
  const folded = new Map<string, Folded>();
  const blocks = network.stages.flat();
  const units: UnitSpec[] = [
    ...network.stem,
    ...blocks.flatMap((block) => [...block.units, ...(block.downsample ? [block.downsample] : [])]),
    ...headConvolutions(decodeHead).filter((spec): spec is UnitSpec => 'normPath' in spec),
  ];
  const keep = (path: string, { filter, bias }: Folded) => {
    folded.set(path, { filter: kernels.cast(filter, precision), bias });
    filter.dispose();
  };
  const dispose = () => {
    for (const { filter, bias } of folded.values()) {
      filter.dispose();
      bias.dispose();
    }
  };
  try {
    for (const unit of units) keep(unit.path, fold(tf, unit, source));
    const { path } = decodeHead.classifier;
    keep(path, { filter: source(`${path}.weight`) as Tensor4D, bias: source(`${path}.bias`) as Tensor1D });
  } catch (error) {
    dispose();
    throw error;
  }

  const apply = (spec: { path: string; geometry: UnitSpec['geometry'] }, x: Tensor4D, relu: boolean): Tensor4D => {
    const { filter, bias } = folded.get(spec.path)!;
    return kernels.convolutionBias(x, filter, bias, spec.geometry, relu);
  };
  /** Applies `next` to x and disposes x. */
  const replace = (x: Tensor4D, next: (x: Tensor4D) => Tensor4D): Tensor4D => {
    try {
      return next(x);
    } finally {
      x.dispose();
    }
  };
  /** Awaits a pause; disposes x where that throws. */
  const rest = async (pause: Pause, x: Tensor4D): Promise<void> => {
    try {
      await pause();
    } catch (error) {
      x.dispose();
      throw error;
    }
  };

  function residualBlock(block: BlockSpec, x: Tensor4D): Tensor4D {
    let inner = apply(block.units[0]!, x, true);
    block.units.slice(1).forEach((unit, i) => {
      inner = replace(inner, (input) => apply(unit, input, i + 2 < block.units.length));
    });
    const identity = block.downsample === null ? x : apply(block.downsample, x, false);
    const sum = kernels.add(inner, identity);
    inner.dispose();
    if (identity !== x) identity.dispose();
    return replace(sum, kernels.relu);
  }

  /** Disposes the images. */
  async function features(images: Tensor4D, pause: Pause): Promise<Tensor4D> {
    let x = images;
    for (const unit of network.stem) {
      x = replace(x, (input) => apply(unit, input, true));
      await rest(pause, x);
    }
    x = replace(x, kernels.maxPool);
    for (const block of network.stages.slice(0, decodeHead.input + 1).flat()) {
      x = replace(x, (input) => tf.tidy(() => residualBlock(block, input)));
      await rest(pause, x);
    }
    return x;
  }

  async function logits(images: Tensor4D, pause: Pause = noPause): Promise<Tensor4D> {
    const input = await features(kernels.cast(images, precision), pause);
    let x = input.clone();
    try {
      for (const unit of decodeHead.convolutions) {
        x = replace(x, (y) => apply(unit, y, true));
        await rest(pause, x);
      }
      if (decodeHead.concatenation !== null) x = replace(x, (y) => kernels.concatenateChannels(input, y));
    } finally {
      input.dispose();
    }
    const { concatenation } = decodeHead;
    if (concatenation !== null) {
      x = replace(x, (y) => apply(concatenation, y, true));
      await rest(pause, x);
    }
    x = replace(x, (y) => apply(decodeHead.classifier, y, false));
    return replace(x, (y) => kernels.cast(y, 'fp32'));
  }

  return {
    classes: network.classes,
    alignCorners: network.alignCorners,
    logits,
    dispose,
  };
}

function fold(tf: typeof tfjs, unit: UnitSpec, source: ParameterSource): Folded {
  return tf.tidy(() => {
    const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
      (name) => source(`${unit.normPath}.${name}`) as Tensor1D,
    );
    const scale = tf.mul(gamma!, tf.rsqrt(tf.add(variance!, BATCH_NORM_EPSILON)));
    const filter = tf.mul(source(`${unit.path}.weight`), scale) as Tensor4D;
    const bias = tf.sub(beta!, tf.mul(mean!, scale)) as Tensor1D;
    return { filter, bias };
  });
}
