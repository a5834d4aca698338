import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvolutionGeometry, Kernels } from '../kernels/kernels.js';
import type { Precision } from '../recipe/experiment.js';
import { ExitCode, UserError } from '../support/errors.js';

/** What a network computes in inference overflows somewhere: argmax would name a class all the same. Exit code 3. */
export class NonFiniteOutputError extends UserError {
  override readonly name = 'NonFiniteOutputError';
  override readonly exitCode = ExitCode.diverged;

  /**
   * @param what The first of what is computed that is not finite, or too large: "The output of backbone.conv1".
   * @param image The image's name; null where it is not known, or it is so of any.
   */
  constructor(
    private readonly what: string,
    image: string | null = null,
    /** What is wrong with it. */
    private readonly fault = 'is not finite',
  ) {
    super(
      `${what} ${fault}${image === null ? '' : ` for ${image}`}: the weights are finite, but what is computed with them overflows.`,
      'Use weights of a training that did not diverge, or train with a lower learning rate (--set learningRate=…).',
    );
  }

  /** The same of a named image. */
  of(image: string): NonFiniteOutputError {
    return new NonFiniteOutputError(this.what, image, this.fault);
  }
}

/** A convolution with batch norm folded in: a filter (HWIO), a bias, and what they can make of a value. */
export interface FoldedConvolution {
  /** The convolution's path in the state_dict. */
  readonly path: string;
  readonly geometry: ConvolutionGeometry;
  readonly filter: Tensor4D;
  readonly bias: Tensor1D;
  /** Largest sum of an output channel's magnitudes, max_o Σ|w_o|: outputs are at most `gain` · (largest input) + `offset`. */
  readonly gain: number;
  /** Largest magnitude of the bias. */
  readonly offset: number;
}

/** An image inside the network, of which every value is finite. */
export type Bounded = {
  readonly x: Tensor4D;
  /** Whether no value is below 0, as after a ReLU. */
  readonly nonNegative: boolean;
  /** No value's magnitude is larger. Infinity: nothing more is known than that all are finite. */
  bound: number;
  /** Whether the bound is the largest magnitude itself. */
  measured: boolean;
};

/**
 * Up to where bounds prove that nothing overflows; null: they prove nothing.
 *
 * Bounds are of exact arithmetic. What is computed differs by rounding, which adds up to a part of the bound, and some algorithms of
 * convolutions (Winograd's, Fourier transforms) pass through values that are larger by small powers of ten. float32 and bfloat16
 * end at 2^128: 2^100 leaves a factor of 2^28. float16 ends at 65,504, to which nothing can be left.
 */
const LARGEST_BOUND: Readonly<Record<Precision, number | null>> = { fp32: 2 ** 100, bf16: 2 ** 100, fp16: null };

/**
 * Runs the parts of a network for inference such that what overflows in one of them ends the pass, on every engine.
 *
 * In the logits an overflow need not show any more: a ReLU makes 0 of −∞, and TensorFlow.js's also of NaN, which ∞ − ∞ and
 * 0 · ∞ give; a max pool passes over NaN; and a sum that overflowed on its way to a small value is as wrong as it is finite. Before
 * the ReLU it shows, as no term that is added takes ±∞ or NaN away. But looking at every value there would take a pass over
 * memory for each convolution, and single convolutions instead of those fused with their ReLU.
 *
 * So it is proved that there can be none. A convolution's output, and every partial sum of it in whatever order, is at most
 *
 *     max|x| · max_o Σ|w_o| + max|b|,
 *
 * ReLU and max pool enlarge nothing, and a sum is at most the sum of its parts' bounds. So bounds go from layer to layer by three
 * numbers each. They grow by a factor of 10 to 1000 a layer, where the values themselves do not; once one is too large to prove
 * anything, the layer's input is measured, which is one pass over one tensor every dozen layers. Where even a measured input
 * leaves the question open, the convolution is computed without its ReLU and every value of it is looked at. Up to there all is
 * proved to be finite, so what is found is the first.
 */
export class OverflowGuard {
  private readonly largestBound: number | null;

  constructor(
    private readonly kernels: Kernels,
    precision: Precision,
  ) {
    this.largestBound = LARGEST_BOUND[precision];
  }

  /** Images whose values are finite. They stay the caller's, as all that is given to this class. */
  images(x: Tensor4D): Bounded {
    return { x, nonNegative: false, bound: Number.POSITIVE_INFINITY, measured: false };
  }

  /**
   * Convolution, bias, and ReLU where `relu`.
   * @throws NonFiniteOutputError that names the convolution.
   */
  convolution(convolution: FoldedConvolution, input: Bounded, relu: boolean): Bounded {
    const { kernels } = this;
    const { path, geometry, filter, bias, gain, offset } = convolution;
    const bound = this.proved(() => input.bound * gain + offset, [input]);
    if (bound !== null) {
      const x = kernels.convolutionBias(input.x, filter, bias, geometry, relu);
      return { x, nonNegative: relu, bound, measured: false };
    }
    return this.looked(path, kernels.convolutionBias(input.x, filter, bias, geometry, false), relu);
  }

  /**
   * The sum of two images, at the end of a residual block.
   * @throws NonFiniteOutputError that names the block.
   */
  sum(path: string, a: Bounded, b: Bounded): Bounded {
    const bound = this.proved(() => a.bound + b.bound, [a, b]);
    const x = this.kernels.add(a.x, b.x);
    if (bound === null) return this.looked(path, x, false);
    return { x, nonNegative: false, bound, measured: false };
  }

  relu(input: Bounded): Bounded {
    return { x: this.kernels.relu(input.x), nonNegative: true, bound: input.bound, measured: false };
  }

  /** Max pool: each window's largest value is one of the input's. */
  maxPool(input: Bounded): Bounded {
    return { ...input, x: this.kernels.maxPool(input.x) };
  }

  /** Along the channels, `a` first. */
  concatenation(a: Bounded, b: Bounded): Bounded {
    const x = this.kernels.concatenateChannels(a.x, b.x);
    const measured = a.measured && b.measured;
    return { x, nonNegative: a.nonNegative && b.nonNegative, bound: Math.max(a.bound, b.bound), measured };
  }

  /** A bound that proves that nothing overflows, with its inputs measured if need be; null where there is none. */
  private proved(bound: () => number, inputs: readonly Bounded[]): number | null {
    if (this.largestBound === null) return null;
    // NaN, of ∞ · 0, is no bound either.
    if (bound() <= this.largestBound) return bound();
    for (const input of inputs) {
      if (input.measured) continue;
      input.bound = this.kernels.largestMagnitude(input.x, input.nonNegative);
      input.measured = true;
    }
    return bound() <= this.largestBound ? bound() : null;
  }

  /** Looks at every value before the ReLU. Takes ownership of `x`. */
  private looked(path: string, x: Tensor4D, relu: boolean): Bounded {
    if (!this.kernels.allFinite([x])) {
      x.dispose();
      throw new NonFiniteOutputError(`The output of ${path}`);
    }
    const bounded = { x, nonNegative: false, bound: Number.POSITIVE_INFINITY, measured: false };
    if (!relu) return bounded;
    const activated = this.relu(bounded);
    x.dispose();
    return activated;
  }
}

/**
 * A convolution with batch norm folded in, float32, as inference in `precision` uses it. Takes ownership of filter and bias.
 * @throws NonFiniteOutputError where one of their values has overflowed in the folding, or does in `precision`.
 */
export function inferenceConvolution(
  tf: typeof tfjs,
  kernels: Kernels,
  { path, geometry, filter, bias }: Pick<FoldedConvolution, 'path' | 'geometry' | 'filter' | 'bias'>,
  precision: Precision,
): FoldedConvolution {
  const stored = { filter: kernels.cast(filter, precision), bias: kernels.cast(bias, precision) };
  const broken = (['filter', 'bias'] as const).find((name) => !kernels.allFinite([stored[name]]));
  stored.bias.dispose();
  const gain = broken === undefined ? largestChannelSum(tf, kernels, filter) : 0;
  filter.dispose();
  if (broken !== undefined) {
    stored.filter.dispose();
    bias.dispose();
    throw new NonFiniteOutputError(`The ${broken} of ${path}, with what inference folds into it,`);
  }
  return { path, geometry, filter: stored.filter, bias, gain, offset: kernels.largestMagnitude(bias) };
}

/** max_o Σ|w_o| of a finite filter, [kh,kw,I,O]; Infinity where it overflows. */
function largestChannelSum(tf: typeof tfjs, kernels: Kernels, filter: Tensor4D): number {
  const outputs = filter.shape[3];
  const terms = filter.size / outputs;
  // A product of matrices: WebAssembly would transpose the filter for a sum over its first axes.
  const sums = tf.tidy(() => tf.matMul(tf.ones([1, terms]), tf.reshape(tf.abs(filter), [terms, outputs])));
  const largest = kernels.largestMagnitude(sums, true);
  sums.dispose();
  return largest;
}
