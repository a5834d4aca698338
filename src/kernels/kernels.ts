import type { Tensor, Tensor1D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Precision } from '../recipe/experiment.js';

/** [N, H, W, C] of images, [height, width, input channels, output channels] of filters. */
export type Shape4D = readonly [number, number, number, number];

/** Symmetric padding, and the same stride and dilation in both axes, as in the published models. */
export interface ConvolutionGeometry {
  readonly stride: number;
  readonly dilation: number;
  readonly padding: number;
}

/** What the choice of a path depends on, of a convolution 3×3 with stride 1 or of a gradient of it. */
export interface ConvolutionShape {
  readonly of: 'convolution' | 'input gradient' | 'filter gradient';
  /** Height and width of the result; for a filter gradient, of the gradient that it is made of. */
  readonly output: readonly [height: number, width: number];
  /** Of what the convolution reads and makes; for an input gradient, of the gradient and of the result. */
  readonly channels: readonly [inputs: number, outputs: number];
  readonly dilation: number;
  /** 1 for all but filter gradients, which are sums over a batch: an image's result does not depend on what else is in the batch. */
  readonly images: number;
  /** Whether images are stored in 16 bits. */
  readonly isHalf: boolean;
}

/** "filter gradient 2×64×128, 512 to 512, dilation 4, 16 bits": the same for equal shapes alone. */
export function shapeName({ of, output, channels, dilation, images, isHalf }: ConvolutionShape): string {
  return `${of} ${[images, ...output].join('×')}, ${channels.join(' to ')}, dilation ${dilation}${isHalf ? ', 16 bits' : ''}`;
}

/** Mean and variance of a batch, over N, H and W. */
export interface BatchNormStatistics {
  readonly mean: Tensor1D;
  /** Biased (divided by N·H·W): this one normalises. */
  readonly variance: Tensor1D;
}

export interface Normalisation {
  readonly gamma: Tensor1D;
  readonly beta: Tensor1D;
  /** Added to the variance. */
  readonly epsilon: number;
}

/** Applied to a normalised value in the same pass: `residual`, of the same shape, is added before the ReLU. */
export interface Activation {
  readonly relu: boolean;
  readonly residual?: Tensor4D | undefined;
}

export interface MomentumStep {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** The gradient is multiplied by this first: 1 over the loss scale; default: 1. */
  readonly gradientFactor?: number;
}

export interface ConvolutionKernels {
  /** [N,H,W,I] ∗ [kh,kw,I,O] → [N,H′,W′,O] with H′ = ⌊(H + 2·padding − dilation·(kh − 1) − 1)/stride⌋ + 1. */
  convolution(x: Tensor4D, filter: Tensor4D, geometry: ConvolutionGeometry): Tensor4D;
  /** Gradient with respect to the input, of shape `inputShape`. */
  convolutionInputGradient(
    gradient: Tensor4D,
    filter: Tensor4D,
    inputShape: Shape4D,
    geometry: ConvolutionGeometry,
  ): Tensor4D;
  /** Gradient with respect to the filter, of shape `filterShape`. */
  convolutionFilterGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    filterShape: Shape4D,
    geometry: ConvolutionGeometry,
  ): Tensor4D;
  /** Convolution, plus bias, plus `residual` of the result's shape, and ReLU if `relu`: inference with batch norm folded in. */
  convolutionBias(
    x: Tensor4D,
    filter: Tensor4D,
    bias: Tensor1D,
    geometry: ConvolutionGeometry,
    relu: boolean,
    residual?: Tensor4D,
  ): Tensor4D;
  /**
   * `convolutionBias` of both images' channels, those of `a` first, to the same bits. Takes ownership of `a` and `b`: where
   * they must be concatenated, they are released before the convolution.
   */
  joinedConvolutionBias(
    a: Tensor4D,
    b: Tensor4D,
    filter: Tensor4D,
    bias: Tensor1D,
    geometry: ConvolutionGeometry,
    relu: boolean,
  ): Tensor4D;
}

export interface BatchNormKernels {
  /** Normalises over N, H, W with the batch's own statistics: γ(x − mean)/√(variance + ε) + β, and activates. */
  batchNorm(
    x: Tensor4D,
    normalisation: Normalisation,
    activation: Activation,
  ): { y: Tensor4D; statistics: BatchNormStatistics };
  /** The same y, from known statistics. */
  batchNormApply(
    x: Tensor4D,
    normalisation: Normalisation,
    statistics: BatchNormStatistics,
    activation: Activation,
  ): Tensor4D;
  /**
   * running ← (1 − momentum)·running + momentum·batch, of mean and variance. The running variance takes the batch's unbiased one:
   * biased · count/(count − 1), where count ≥ 1 is N·H·W. Takes ownership of `running` and may write into its memory.
   */
  runningStatistics(
    running: BatchNormStatistics,
    batch: BatchNormStatistics,
    momentum: number,
    count: number,
  ): BatchNormStatistics;
  /**
   * Gradients of `batchNorm` (through the statistics too) from the gradient of y and the *input* x. `y` is the output of a
   * ReLU without residual; null if there was no ReLU, or if the gradient has passed through it already.
   */
  batchNormGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    normalisation: Normalisation,
    statistics: BatchNormStatistics,
    y: Tensor4D | null,
  ): BatchNormGradients;
}

/** Gradients of a batch norm's input and parameters. */
export interface BatchNormGradients {
  readonly x: Tensor4D;
  readonly gamma: Tensor1D;
  readonly beta: Tensor1D;
}

/**
 * Batch norm over a batch that is divided into shards of the same size; each kernel takes one shard. What shards must know of each
 * other is two numbers a channel, [1, 2, C] of a shard and [shards, 2, C] of all: only these kernels can read them. They are added up
 * by the tree of `support/shard-tree.ts`, so results do not depend on where a shard is.
 */
export interface ShardedBatchNormKernels {
  /** Mean, and sum of squares about it. */
  batchNormMoments(x: Tensor4D): Tensor3D;
  /** Numbers of several shards, [1, 2, C] each, in their order: [shards, 2, C]. */
  joinShards(parts: readonly Tensor3D[]): Tensor3D;
  /** `batchNorm` with the statistics of all shards. */
  batchNormOfShards(
    x: Tensor4D,
    normalisation: Normalisation,
    activation: Activation,
    moments: Tensor3D,
  ): { y: Tensor4D; statistics: BatchNormStatistics };
  /** Sums that `batchNormGradientOfShards` needs of all shards; the inputs are those of `batchNormGradient`. */
  batchNormGradientSums(
    gradient: Tensor4D,
    x: Tensor4D,
    normalisation: Normalisation,
    statistics: BatchNormStatistics,
    y: Tensor4D | null,
  ): Tensor3D;
  /** `batchNormGradient`; those of γ and β are of the whole batch. */
  batchNormGradientOfShards(
    gradient: Tensor4D,
    x: Tensor4D,
    normalisation: Normalisation,
    statistics: BatchNormStatistics,
    y: Tensor4D | null,
    sums: Tensor3D,
  ): BatchNormGradients;
}

/** A value's gradient, in one part or two that are still to be added. */
export type Gradients = readonly [Tensor4D] | readonly [Tensor4D, Tensor4D];

/** Operations on each value, or each channel, by itself. */
export interface PointwiseKernels {
  /** The same values stored in another precision. Values stored in 16 bits can be read only after a cast to float32. */
  cast<T extends Tensor>(x: T, precision: Precision): T;
  /** Whether every value of every tensor is finite. */
  allFinite(tensors: readonly Tensor[]): boolean;
  /** The values of tensors of one value each: in one wait, where reading must wait for a GPU. */
  readScalars(tensors: readonly Tensor[]): number[];
  /** The largest magnitude of all values but NaN. `nonNegative` says that no value is below 0, which halves the work. */
  largestMagnitude(x: Tensor, nonNegative?: boolean): number;
  relu(x: Tensor4D): Tensor4D;
  /**
   * The gradient, or the sum of two, where the ReLU's *output* y is positive, 0 elsewhere. Takes ownership of the gradients, whose memory
   * no other tensor may share, and may write into it.
   */
  reluGradient(gradients: Gradients, y: Tensor4D): Tensor4D;
  add<T extends Tensor>(a: T, b: T): T;
  /** [N,H,W,A] and [N,H,W,B] → [N,H,W,A+B]. */
  concatenateChannels(a: Tensor4D, b: Tensor4D): Tensor4D;
  /** Channels [begin, begin + size). */
  sliceChannels(x: Tensor4D, begin: number, size: number): Tensor4D;
  /** Multiplies each channel of each image: [N,H,W,C] · [N,1,1,C]. Channel dropout, and its gradient. */
  scaleChannels(x: Tensor4D, factors: Tensor4D): Tensor4D;
  /**
   * SGD with momentum as in PyTorch: v′ = momentum·v + (factor·g + weightDecay·p); p′ = p − learningRate·v′.
   * Any shape. The first step has v = 0. Takes ownership of its inputs and may write into their memory: otherwise two more
   * copies of the largest filter would set the peak of a step's memory.
   */
  momentumStep<T extends Tensor>(
    parameter: T,
    gradient: T,
    velocity: T,
    step: MomentumStep,
  ): { parameter: T; velocity: T };
  /** Class of the largest value along the channels: [N,H,W,C] → [N,H,W], int32. */
  argmax(x: Tensor4D): Tensor3D;
  softmax(x: Tensor4D): Tensor4D;
}

/** Reading without blocking. In a browser there is no other way to read from a GPU. */
export interface LaterReadingKernels {
  /** As `allFinite`. */
  allFiniteLater(tensors: readonly Tensor[]): Promise<boolean>;
  /** As `largestMagnitude`. */
  largestMagnitudeLater(x: Tensor, nonNegative?: boolean): Promise<number>;
}

export interface MaxPoolKernels {
  /** 3×3 window, stride 2, padding 1 (padding never wins): [N,H,W,C] → [N,⌈H/2⌉,⌈W/2⌉,C]. */
  maxPool(x: Tensor4D): Tensor4D;
  /** Gradient of `maxPool`; the first of equal maxima in row-major order takes it, as in PyTorch. `y` is the pool's output. */
  maxPoolGradient(gradient: Tensor4D, x: Tensor4D, y: Tensor4D): Tensor4D;
}

export interface ResizeKernels {
  /**
   * Bilinear resize to [height, width]; the result is float32. Aligned: source = d·(in − 1)/(out − 1); otherwise
   * source = max((d + 0.5)·in/out − 0.5, 0), neighbours clipped at the far edge.
   */
  resizeBilinear(x: Tensor4D, size: readonly [number, number], alignCorners: boolean): Tensor4D;
  /** Gradient with respect to the input of `resizeBilinear`, whose size was [height, width]. float32 in and out. */
  resizeBilinearGradient(gradient: Tensor4D, inputSize: readonly [number, number], alignCorners: boolean): Tensor4D;
}

export interface CrossEntropyKernels {
  /**
   * Cross-entropy of logits [N,H,W,C] with labels [N,H,W] (int32), averaged over *all* N·H·W pixels; pixels labelled
   * `ignoreIndex` count with loss 0. `gradient` is that of the mean. `correct` counts the pixels whose argmax is the label.
   */
  crossEntropy(
    logits: Tensor4D,
    labels: Tensor3D,
    ignoreIndex: number,
  ): { loss: Tensor; correct: Tensor; gradient: Tensor4D };
}

/**
 * The tensor operations of the networks; forward and backward are separate kernels. Tensors are NHWC; filters HWIO
 * ([height, width, input channels, output channels]).
 *
 * Images and their gradients are stored in float32 or in 16 bits (see `cast`). Results, gradients of filters included, are
 * stored like the images that went in. All else is float32: filters (which direct convolutions round to the images' precision),
 * statistics, γ, β and their gradients, resized logits. Sums are taken in float32 throughout.
 *
 * Ownership: a kernel never disposes its inputs (unless it says so), returns tensors that the caller owns, and leaves no other tensor
 * behind.
 */
export interface Kernels
  extends ConvolutionKernels,
    BatchNormKernels,
    ShardedBatchNormKernels,
    PointwiseKernels,
    LaterReadingKernels,
    MaxPoolKernels,
    ResizeKernels,
    CrossEntropyKernels {}

/** Kernels with `LaterReadingKernels`, of an engine whose values are in main memory: there is nothing to wait for. */
export function readingAtOnce<K extends Pick<PointwiseKernels, 'allFinite' | 'largestMagnitude'>>(
  kernels: K,
): K & LaterReadingKernels {
  return {
    ...kernels,
    allFiniteLater: async (tensors) => kernels.allFinite(tensors),
    largestMagnitudeLater: async (x, nonNegative) => kernels.largestMagnitude(x, nonNegative),
  };
}

/** Disposes the tensors from which `result` was computed, and returns `result`. */
export function thenDispose<T>(result: T, ...inputs: readonly Tensor[]): T {
  for (const input of inputs) input.dispose();
  return result;
}
