import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels/kernels.js';
import type { Precision } from '../recipe/experiment.js';
import { noPause, type Pause } from '../support/pauses.js';
import {
  type Architecture,
  type BlockSpec,
  type ConvolutionSpec,
  inferenceConvolutions,
  isUnit,
  type UnitSpec,
} from './architecture.js';
import { type Bounded, type FoldedConvolution, inferenceConvolution, OverflowGuard } from './overflow.js';
import { BATCH_NORM_EPSILON } from './resnet.js';

/** The value of a parameter, by its path, as a tensor that the caller owns. Filters are HWIO. */
type ParameterSource = (path: string) => tfjs.Tensor;

/** A folded convolution as plain data, in float32. */
type SharedConvolution = Pick<FoldedConvolution, 'path' | 'geometry' | 'gain' | 'offset'> & {
  /** [kh,kw,I,O]. */
  readonly filterShape: readonly [number, number, number, number];
  readonly filter: Float32Array;
  /** [O]. */
  readonly bias: Float32Array;
};

/** The folded convolutions of a network as plain data: for networks on the engines of other threads, sent without a copy, or elsewhere. */
export type SharedWeights = readonly SharedConvolution[];

/**
 * The network for inference: batch norm folded into the convolutions,
 * w′ = w·γ/√(variance + ε), b′ = β − mean·γ/√(variance + ε); without the auxiliary head.
 * Every parameter is read once; the network owns what it makes of it, and if one cannot be read, no tensor is left. Shared weights
 * give the same bits as the parameters from which they were folded (`shareWeights`). A 16-bit precision applies to filters and images inside the network; the input images, which must be finite, and the logits are
 * float32. An overflow ends a pass (`OverflowGuard`).
 * @throws NonFiniteOutputError if a weight overflows when batch norm is folded into it; what `source` throws.
 */
export class FoldedNetwork implements InferenceNetwork {
  readonly classes: number;
  readonly alignCorners: boolean;
  private readonly folded = new Map<string, FoldedConvolution>();
  private readonly guard: OverflowGuard;

  constructor(
    tf: typeof tfjs,
    private readonly kernels: Kernels,
    private readonly network: Architecture,
    source: ParameterSource | SharedWeights,
    private readonly precision: Precision = 'fp32',
  ) {
    this.classes = network.classes;
    this.alignCorners = network.alignCorners;
    this.guard = new OverflowGuard(kernels, precision);
    try {
      const convolutions =
        typeof source === 'function'
          ? foldedConvolutions(tf, kernels, network, source, precision)
          : source.map((shared) => fromShared(tf, shared));
      for (const convolution of convolutions) this.folded.set(convolution.path, convolution);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  async logits(images: Tensor4D, pause: Pause = noPause): Promise<Tensor4D> {
    const { concatenation, convolutions, classifier } = this.network.decodeHead;
    const input = await this.features(this.kernels.cast(images, this.precision), pause);
    let image: Bounded = { ...input, x: input.x.clone() };
    try {
      for (const unit of convolutions) {
        image = await replace(image, (x) => this.apply(unit, x, true));
        await pauseHolding(pause, image);
      }
      if (concatenation !== null) {
        const convolution = this.folded.get(concatenation.path)!;
        image = await replace(image, (x) => this.guard.joinedConvolution(convolution, input, x));
      }
    } finally {
      input.x.dispose();
    }
    if (concatenation !== null) await pauseHolding(pause, image);
    const { x } = await replace(image, (input) => this.apply(classifier, input, false));
    try {
      return this.kernels.cast(x, 'fp32');
    } finally {
      x.dispose();
    }
  }

  dispose(): void {
    for (const { filter, bias } of this.folded.values()) {
      filter.dispose();
      bias.dispose();
    }
  }

  private apply(spec: ConvolutionSpec, input: Bounded, relu: boolean): Promise<Bounded> {
    return this.guard.convolution(this.folded.get(spec.path)!, input, relu);
  }

  private async residualBlock(block: BlockSpec, input: Bounded): Promise<Bounded> {
    let inner = await this.apply(block.units[0]!, input, true);
    for (const unit of block.units.slice(1, -1)) inner = await replace(inner, (image) => this.apply(unit, image, true));
    const last = this.folded.get(block.units.at(-1)!.path)!;
    return replace(inner, async (image) => {
      const join = (identity: Bounded) => this.guard.residualConvolution(block.path, last, image, identity);
      return block.downsample === null ? join(input) : replace(await this.apply(block.downsample, input, false), join);
    });
  }

  /** Disposes the images. */
  private async features(images: Tensor4D, pause: Pause): Promise<Bounded> {
    const { guard, network } = this;
    let image = guard.images(images);
    for (const unit of network.stem) {
      image = await replace(image, (input) => this.apply(unit, input, true));
      await pauseHolding(pause, image);
    }
    image = await replace(image, async (input) => guard.maxPool(input));
    for (const block of network.stages.slice(0, network.decodeHead.input + 1).flat()) {
      image = await replace(image, (input) => this.residualBlock(block, input));
      await pauseHolding(pause, image);
    }
    return image;
  }
}

/** Applies `next` to an image and disposes the image. */
async function replace(image: Bounded, next: (image: Bounded) => Promise<Bounded>): Promise<Bounded> {
  try {
    return await next(image);
  } finally {
    image.x.dispose();
  }
}

/** Awaits a pause; disposes the image if that throws. */
async function pauseHolding(pause: Pause, { x }: Bounded): Promise<void> {
  try {
    await pause();
  } catch (error) {
    x.dispose();
    throw error;
  }
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

/**
 * Folds a network's convolutions one by one; the caller owns each.
 * @throws NonFiniteOutputError if a weight overflows when batch norm is folded into it; what `source` throws.
 */
function* foldedConvolutions(
  tf: typeof tfjs,
  kernels: Kernels,
  network: Architecture,
  source: ParameterSource,
  precision: Precision,
): Generator<FoldedConvolution> {
  const ready = ({ path, geometry }: ConvolutionSpec, parameters: Folded) =>
    inferenceConvolution(tf, kernels, { path, geometry, ...parameters }, precision);
  for (const spec of inferenceConvolutions(network)) {
    if (isUnit(spec)) {
      yield ready(spec, fold(tf, spec, source));
      continue;
    }
    const filter = source(`${spec.path}.weight`) as Tensor4D;
    yield ready(spec, { filter, bias: source(`${spec.path}.bias`) as Tensor1D });
  }
}

/**
 * Folds a network for inference in float32 on engines of other threads. One convolution at a time is on this engine.
 * @throws NonFiniteOutputError if a weight overflows when batch norm is folded into it; what `source` throws.
 */
export function shareWeights(
  tf: typeof tfjs,
  kernels: Kernels,
  network: Architecture,
  source: ParameterSource,
): SharedWeights {
  return Array.from(foldedConvolutions(tf, kernels, network, source, 'fp32'), ({ filter, bias, ...rest }) => {
    const shared = { ...rest, filterShape: filter.shape, filter: shareFloats(filter), bias: shareFloats(bias) };
    filter.dispose();
    bias.dispose();
    return shared;
  });
}

function shareFloats(tensor: tfjs.Tensor): Float32Array<SharedArrayBuffer> {
  const shared = new Float32Array(new SharedArrayBuffer(4 * tensor.size));
  shared.set(tensor.dataSync());
  return shared;
}

function fromShared(tf: typeof tfjs, { filterShape, filter, bias, ...rest }: SharedConvolution): FoldedConvolution {
  return { ...rest, filter: tf.tensor4d(filter, [...filterShape]), bias: tf.tensor1d(bias) };
}

/** A network ready for inference. */
export interface InferenceNetwork {
  readonly classes: number;
  /** Of the decode head: how its logits are resized. */
  readonly alignCorners: boolean;
  /**
   * Decode-head logits of normalised RGB images, before any resize: [N,H,W,3] → [N,h,w,classes]. The caller owns the result.
   * `pause` is awaited between modules; if it throws, no tensor is left.
   */
  logits(images: Tensor4D, pause?: Pause): Promise<Tensor4D>;
  dispose(): void;
}
