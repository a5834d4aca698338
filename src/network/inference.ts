import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels/kernels.js';
import type { Precision } from '../recipe/experiment.js';
import { noPause, type Pause } from '../support/pauses.js';
import {
  type Architecture,
  type BlockSpec,
  type ConvolutionSpec,
  headConvolutions,
  type UnitSpec,
} from './architecture.js';
import { type Bounded, type FoldedConvolution, inferenceConvolution, OverflowGuard } from './overflow.js';
import { BATCH_NORM_EPSILON } from './unit.js';

/** Gives the value of a parameter, by its path, as a tensor that the caller owns. Filters are HWIO. */
export type ParameterSource = (path: string) => tfjs.Tensor;

/**
 * The network for inference: batch norm folded into the convolutions,
 * w′ = w·γ/√(variance + ε), b′ = β − mean·γ/√(variance + ε); the auxiliary head left out.
 * Every parameter is read once; the network owns what it makes of it, and where one cannot be read, nothing is left. In a 16-bit precision filters and images are stored in
 * it; the images that go in, which must be finite, and the logits that come out are float32. What overflows on the way ends a
 * pass (`OverflowGuard`).
 * @throws NonFiniteOutputError where a weight overflows when batch norm is folded into it; what `source` throws.
 */
export function foldedNetwork(
  tf: typeof tfjs,
  kernels: Kernels,
  network: Architecture,
  source: ParameterSource,
  precision: Precision = 'fp32',
): InferenceNetwork {
  const { decodeHead } = network;
  const folded = new Map<string, FoldedConvolution>();
  const blocks = network.stages.flat();
  const units: UnitSpec[] = [
    ...network.stem,
    ...blocks.flatMap((block) => [...block.units, ...(block.downsample ? [block.downsample] : [])]),
    ...headConvolutions(decodeHead).filter((spec): spec is UnitSpec => 'normPath' in spec),
  ];
  const keep = ({ path, geometry }: ConvolutionSpec, parameters: Folded) => {
    folded.set(path, inferenceConvolution(tf, kernels, { path, geometry, ...parameters }, precision));
  };
  const dispose = () => {
    for (const { filter, bias } of folded.values()) {
      filter.dispose();
      bias.dispose();
    }
  };
  try {
    for (const unit of units) keep(unit, fold(tf, unit, source));
    const { path } = decodeHead.classifier;
    keep(decodeHead.classifier, {
      filter: source(`${path}.weight`) as Tensor4D,
      bias: source(`${path}.bias`) as Tensor1D,
    });
  } catch (error) {
    dispose();
    throw error;
  }

  const guard = new OverflowGuard(kernels, precision);
  const apply = (spec: ConvolutionSpec, input: Bounded, relu: boolean): Bounded =>
    guard.convolution(folded.get(spec.path)!, input, relu);
  /** Applies `next` to an image and disposes that. */
  const replace = (image: Bounded, next: (image: Bounded) => Bounded): Bounded => {
    try {
      return next(image);
    } finally {
      image.x.dispose();
    }
  };
  /** Awaits a pause; disposes an image where that throws. */
  const rest = async (pause: Pause, { x }: Bounded): Promise<void> => {
    try {
      await pause();
    } catch (error) {
      x.dispose();
      throw error;
    }
  };

  function residualBlock(block: BlockSpec, input: Bounded): Bounded {
    let inner = apply(block.units[0]!, input, true);
    block.units.slice(1).forEach((unit, i) => {
      inner = replace(inner, (image) => apply(unit, image, i + 2 < block.units.length));
    });
    const identity = block.downsample === null ? input : apply(block.downsample, input, false);
    const sum = guard.sum(block.path, inner, identity);
    inner.x.dispose();
    if (identity !== input) identity.x.dispose();
    return replace(sum, (image) => guard.relu(image));
  }

  /** Disposes the images. */
  async function features(images: Tensor4D, pause: Pause): Promise<Bounded> {
    let image = guard.images(images);
    for (const unit of network.stem) {
      image = replace(image, (input) => apply(unit, input, true));
      await rest(pause, image);
    }
    image = replace(image, (input) => guard.maxPool(input));
    for (const block of network.stages.slice(0, decodeHead.input + 1).flat()) {
      image = replace(image, (input) => tf.tidy(() => residualBlock(block, input)));
      await rest(pause, image);
    }
    return image;
  }

  async function logits(images: Tensor4D, pause: Pause = noPause): Promise<Tensor4D> {
    const input = await features(kernels.cast(images, precision), pause);
    let image: Bounded = { ...input, x: input.x.clone() };
    try {
      for (const unit of decodeHead.convolutions) {
        image = replace(image, (x) => apply(unit, x, true));
        await rest(pause, image);
      }
      if (decodeHead.concatenation !== null) image = replace(image, (x) => guard.concatenation(input, x));
    } finally {
      input.x.dispose();
    }
    const { concatenation } = decodeHead;
    if (concatenation !== null) {
      image = replace(image, (x) => apply(concatenation, x, true));
      await rest(pause, image);
    }
    const { x } = replace(image, (input) => apply(decodeHead.classifier, input, false));
    try {
      return kernels.cast(x, 'fp32');
    } finally {
      x.dispose();
    }
  }

  return {
    classes: network.classes,
    alignCorners: network.alignCorners,
    logits,
    dispose,
  };
}

/** A convolution's filter (HWIO) and bias, with batch norm folded in. */
type Folded = Pick<FoldedConvolution, 'filter' | 'bias'>;

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

/** A network ready for inference. */
export interface InferenceNetwork {
  readonly classes: number;
  /** Of the decode head: how its logits are resized. */
  readonly alignCorners: boolean;
  /**
   * Decode-head logits of normalised RGB images, before any resize: [N,H,W,3] → [N,h,w,classes]. The caller owns the result.
   * `pause` is awaited between modules; where it throws, nothing is left.
   */
  logits(images: Tensor4D, pause?: Pause): Promise<Tensor4D>;
  dispose(): void;
}
