import type { Tensor, Tensor1D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Precision } from '../recipe/experiment.js';

/** Symmetric padding, the same stride and dilation in both axes, as the published models use them. */
export interface ConvolutionGeometry {
  readonly stride: number;
  readonly dilation: number;
  readonly padding: number;
}

/** Outputs of batch normalisation in training mode. `mean` and `variance` are those of the batch, over N, H and W. */
export interface BatchNormStatistics {
  readonly mean: Tensor1D;
  /** Biased (divided by N·H·W): what normalises. */
  readonly variance: Tensor1D;
}

export interface Normalisation {
  readonly gamma: Tensor1D;
  readonly beta: Tensor1D;
  /** Added to the variance. */
  readonly epsilon: number;
}

/** What is done with a normalised value in the same pass: `residual`, of its shape, is added first. */
export interface Activation {
  readonly relu: boolean;
  readonly residual?: Tensor4D | undefined;
}

export interface MomentumStep {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** What the gradient is multiplied with first: 1 over the loss scale. 1 unless given. */
  readonly gradientFactor?: number;
}

/**
 * The tensor operations of the networks, forward and backward apart. Tensors are NHWC; filters HWIO
 * ([height, width, input channels, output channels]).
 *
 * Images and their gradients are float32, or stored in 16 bits (see `cast`), and results are stored as the images were that
 * went in, gradients of filters too. All else is float32: filters (rounded to the images' precision where they are
 * used), statistics, γ, β and their gradients, logits once resized. Sums are taken in float32 throughout.
 *
 * Ownership: a kernel never disposes its inputs (but see `momentumStep`), and returns tensors that the caller owns. It leaves no other tensor behind.
 */
export interface Kernels {
  /** The same values stored in another precision. Values that were stored in 16 bits can be read only after this. */
  cast<T extends Tensor>(x: T, precision: Precision): T;
  /** Whether every value of every tensor is finite. */
  allFinite(tensors: readonly Tensor[]): boolean;
  /** The largest magnitude of values that are not NaN. Where `nonNegative` says that none is below 0, half of the work is spared. */
  largestMagnitude(x: Tensor, nonNegative?: boolean): number;

  /** [N,H,W,I] ∗ [kh,kw,I,O] → [N,H′,W′,O] with H′ = ⌊(H + 2·padding − dilation·(kh − 1) − 1)/stride⌋ + 1. */
  convolution(x: Tensor4D, filter: Tensor4D, geometry: ConvolutionGeometry): Tensor4D;
  /** Gradient with respect to the convolution's input, of shape `inputShape`. */
  convolutionInputGradient(
    gradient: Tensor4D,
    filter: Tensor4D,
    inputShape: readonly [number, number, number, number],
    geometry: ConvolutionGeometry,
  ): Tensor4D;
  /** Gradient with respect to the filter, of shape `filterShape`. */
  convolutionFilterGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    filterShape: readonly [number, number, number, number],
    geometry: ConvolutionGeometry,
  ): Tensor4D;
  /** Convolution, plus bias, plus ReLU where `relu`: inference with batch norm folded in. */
  convolutionBias(
    x: Tensor4D,
    filter: Tensor4D,
    bias: Tensor1D,
    geometry: ConvolutionGeometry,
    relu: boolean,
  ): Tensor4D;

  /** Normalises over N, H, W with the batch's own statistics: γ(x − mean)/√(variance + ε) + β, and activates. */
  batchNorm(
    x: Tensor4D,
    normalisation: Normalisation,
    activation: Activation,
  ): { y: Tensor4D; statistics: BatchNormStatistics };
  /** The same y again from known statistics. */
  batchNormApply(
    x: Tensor4D,
    normalisation: Normalisation,
    statistics: BatchNormStatistics,
    activation: Activation,
  ): Tensor4D;
  /**
   * Gradients of `batchNorm` (through the statistics too) from the gradient of y and the *input* x. `y` is the output
   * where a ReLU made it, without residual; null where there was no ReLU or the gradient has passed it already.
   */
  batchNormGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    normalisation: Normalisation,
    statistics: BatchNormStatistics,
    y: Tensor4D | null,
  ): { x: Tensor4D; gamma: Tensor1D; beta: Tensor1D };

  relu(x: Tensor4D): Tensor4D;
  /** The gradient where the ReLU's *output* y is positive, 0 elsewhere. */
  reluGradient(gradient: Tensor4D, y: Tensor4D): Tensor4D;
  add<T extends Tensor>(a: T, b: T): T;
  /** [N,H,W,A] and [N,H,W,B] → [N,H,W,A+B]. */
  concatenateChannels(a: Tensor4D, b: Tensor4D): Tensor4D;
  /** Channels [begin, begin + size). */
  sliceChannels(x: Tensor4D, begin: number, size: number): Tensor4D;

  /** 3×3 window, stride 2, padding 1 (padding never wins): [N,H,W,C] → [N,⌈H/2⌉,⌈W/2⌉,C]. */
  maxPool(x: Tensor4D): Tensor4D;
  /** Gradient of `maxPool`; of equal maxima the first in row-major order takes it, as in PyTorch. `y` is the pool's output. */
  maxPoolGradient(gradient: Tensor4D, x: Tensor4D, y: Tensor4D): Tensor4D;

  /**
   * Bilinear resize to [height, width]; the result is float32. Aligned: source = d·(in − 1)/(out − 1); otherwise
   * source = max((d + 0.5)·in/out − 0.5, 0), neighbours clipped at the far edge.
   */
  resizeBilinear(x: Tensor4D, size: readonly [number, number], alignCorners: boolean): Tensor4D;
  /** Gradient with respect to the input of `resizeBilinear`, whose size was [height, width]. float32 in and out. */
  resizeBilinearGradient(gradient: Tensor4D, inputSize: readonly [number, number], alignCorners: boolean): Tensor4D;

  /**
   * Cross-entropy of logits [N,H,W,C] with labels [N,H,W] (int32), averaged over *all* N·H·W pixels; pixels labelled
   * `ignoreIndex` count with loss 0. `gradient` is that of the mean. `correct` counts the pixels whose argmax is the label.
   */
  crossEntropy(
    logits: Tensor4D,
    labels: Tensor3D,
    ignoreIndex: number,
  ): { loss: Tensor; correct: Tensor; gradient: Tensor4D };

  /**
   * SGD with momentum as PyTorch's: v′ = momentum·v + (factor·g + weightDecay·p); p′ = p − learningRate·v′.
   * Any shape. The first step has v = 0. The one kernel that takes ownership of its inputs, and may write into their
   * memory: two more copies of the largest filter would otherwise be the peak of a step's memory.
   */
  momentumStep<T extends Tensor>(
    parameter: T,
    gradient: T,
    velocity: T,
    step: MomentumStep,
  ): { parameter: T; velocity: T };

  /** Multiplies each channel of each image: [N,H,W,C] · [N,1,1,C]. Channel dropout, and its gradient. */
  scaleChannels(x: Tensor4D, factors: Tensor4D): Tensor4D;

  /** Class of the largest value along the channels: [N,H,W,C] → [N,H,W], int32. */
  argmax(x: Tensor4D): Tensor3D;
  softmax(x: Tensor4D): Tensor4D;
}

/** Those that take each value, or each channel, by itself. */
export type PointwiseKernels = Pick<
  Kernels,
  | 'cast'
  | 'allFinite'
  | 'largestMagnitude'
  | 'relu'
  | 'reluGradient'
  | 'add'
  | 'concatenateChannels'
  | 'sliceChannels'
  | 'scaleChannels'
  | 'momentumStep'
  | 'argmax'
  | 'softmax'
>;
