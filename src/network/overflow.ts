import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import { type ConvolutionGeometry, type Kernels, thenDispose } from '../kernels/kernels.js';
import type { Precision } from '../recipe/experiment.js';
import { ExitCode, UserError } from '../support/errors.js';

/** An overflow inside a network in inference: argmax would give a class all the same. Exit code 3. */
export class NonFiniteOutputError extends UserError {
  override readonly name = 'NonFiniteOutputError';
  override readonly exitCode = ExitCode.diverged;

  /**
   * @param what The first result that is not finite, or too large: "The output of backbone.conv1".
   * @param image The image's name; null if it is not known, or every image overflows.
   */
  constructor(
    readonly what: string,
    readonly image: string | null = null,
    /** What is wrong with `what`. */
    readonly fault = 'is not finite',
  ) {
    super(
      `${what} ${fault}${image === null ? '' : ` for ${image}`}: the weights are finite, but computing with them overflows.`,
      'Use weights of a training that did not diverge, or train with a lower learning rate (--set learningRate=…).',
    );
  }

  /** The same error, with the name of the image. */
  forImage(image: string): NonFiniteOutputError {
    return new NonFiniteOutputError(this.what, image, this.fault);
  }
}

/** A convolution with batch norm folded in: a filter (HWIO), a bias, and how much they can enlarge a value. */
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

/** An image inside the network, with finite values only. */
export type Bounded = {
  readonly x: Tensor4D;
  /** Whether no value is below 0, as after a ReLU. */
  readonly nonNegative: boolean;
  /** No value's magnitude is larger. Infinity: all that is known is that the values are finite. */
  bound: number;
  /** Whether the bound is the exact largest magnitude. */
  measured: boolean;
};

/**
 * A bound up to this proves that nothing overflows; null: bounds prove nothing.
 *
 * Bounds hold in exact arithmetic. Rounding adds up to a fraction of the bound, and some algorithms of convolutions
 * (Winograd's, Fourier transforms) have intermediate values that are larger by small powers of ten. float32 and bfloat16 end
 * at 2^128: 2^100 leaves a factor of 2^28. float16 ends at 65,504, which leaves no such factor.
 */
const LARGEST_BOUND: Readonly<Record<Precision, number | null>> = { fp32: 2 ** 100, bf16: 2 ** 100, fp16: null };

/**
 * Runs the parts of a network for inference so that an overflow in any of them ends the pass, on every engine.
 *
 * The logits need not show an overflow: a ReLU turns −∞ into 0, and TensorFlow.js's also NaN, the result of ∞ − ∞ and 0 · ∞;
 * a max pool ignores NaN; and a sum that overflowed may end as a wrong but finite value. It does show before the ReLU, because
 * no added term removes ±∞ or NaN. But checking every value there would cost a pass over memory for each convolution, and rule
 * out convolutions fused with their ReLU.
 *
 * So the guard proves that there is none. A convolution's output, and every partial sum of it in any order, is at most
 *
 *     max|x| · max_o Σ|w_o| + max|b|,
 *
 * ReLU and max pool enlarge nothing, and a sum is at most the sum of its parts' bounds. So a bound costs three numbers a layer.
 * Bounds grow by a factor of 10 to 1000 a layer, although the values do not; once a bound is too large to prove anything, the
 * layer's input is measured: one pass over one tensor every dozen layers. If even a measured input proves nothing, the
 * convolution is computed without its ReLU and every value is checked. Everything before is proved finite, so the first
 * overflow is found.
 */
export class OverflowGuard {
  private readonly largestBound: number | null;

  constructor(
    private readonly kernels: Kernels,
    precision: Precision,
  ) {
    this.largestBound = LARGEST_BOUND[precision];
  }

  /** Images with finite values. The caller keeps owning them, like every tensor passed to this class. */
  images(x: Tensor4D): Bounded {
    return { x, nonNegative: false, bound: Number.POSITIVE_INFINITY, measured: false };
  }

  /**
   * Convolution, bias, and ReLU if `relu`.
   * @throws NonFiniteOutputError naming the convolution.
   */
  convolution(convolution: FoldedConvolution, input: Bounded, relu: boolean): Promise<Bounded> {
    const { geometry, filter, bias } = convolution;
    return this.convolved(convolution, [input], relu, (relu) =>
      this.kernels.convolutionBias(input.x, filter, bias, geometry, relu),
    );
  }

  /**
   * Convolution of both images' channels, those of `a` first, and bias and ReLU. Takes ownership of both, unless it throws.
   * @throws NonFiniteOutputError naming the convolution.
   */
  joinedConvolution(convolution: FoldedConvolution, a: Bounded, b: Bounded): Promise<Bounded> {
    const { geometry, filter, bias } = convolution;
    return this.convolved(convolution, [a, b], true, (relu) =>
      this.kernels.joinedConvolutionBias(a.x, b.x, filter, bias, geometry, relu),
    );
  }

  /**
   * Convolution, bias, sum with a residual image, ReLU: the end of a residual block, in one pass where nothing can overflow.
   * @param block The block's path.
   * @throws NonFiniteOutputError naming the convolution, or the block if it is the sum that overflows.
   */
  async residualConvolution(
    block: string,
    convolution: FoldedConvolution,
    input: Bounded,
    residual: Bounded,
  ): Promise<Bounded> {
    const { geometry, filter, bias, gain, offset } = convolution;
    const bound = await this.provenBound(() => input.bound * gain + offset + residual.bound, [input, residual]);
    if (bound !== null) {
      const x = this.kernels.convolutionBias(input.x, filter, bias, geometry, true, residual.x);
      return { x, nonNegative: true, bound, measured: false };
    }
    const inner = await this.convolution(convolution, input, false);
    let sum: Tensor4D;
    try {
      sum = this.kernels.add(inner.x, residual.x);
    } finally {
      inner.x.dispose();
    }
    return this.checked(block, sum, true);
  }

  /** Max pool: each window's largest value is one of the input's. */
  maxPool(input: Bounded): Bounded {
    return { ...input, x: this.kernels.maxPool(input.x) };
  }

  /** The convolution of inputs one beside the other, by `compute`, which applies the ReLU if it is told to. */
  private async convolved(
    { path, gain, offset }: FoldedConvolution,
    inputs: readonly Bounded[],
    relu: boolean,
    compute: (relu: boolean) => Tensor4D,
  ): Promise<Bounded> {
    const bound = await this.provenBound(() => Math.max(...inputs.map(({ bound }) => bound)) * gain + offset, inputs);
    const x = compute(relu && bound !== null);
    return bound === null ? this.checked(path, x, relu) : { x, nonNegative: relu, bound, measured: false };
  }

  /** A bound that proves that nothing overflows, after measuring its inputs if needed; null if there is none. */
  private async provenBound(bound: () => number, inputs: readonly Bounded[]): Promise<number | null> {
    if (this.largestBound === null) return null;
    // NaN, from ∞ · 0, is no bound: the comparison is false.
    if (bound() <= this.largestBound) return bound();
    for (const input of inputs) {
      if (input.measured) continue;
      input.bound = await this.kernels.largestMagnitudeLater(input.x, input.nonNegative);
      input.measured = true;
    }
    return bound() <= this.largestBound ? bound() : null;
  }

  /** Checks every value before the ReLU. Takes ownership of `x`. */
  private async checked(path: string, x: Tensor4D, relu: boolean): Promise<Bounded> {
    let isReturned = false;
    try {
      if (!(await this.kernels.allFiniteLater([x]))) throw new NonFiniteOutputError(`The output of ${path}`);
      const bounded = { x, nonNegative: false, bound: Number.POSITIVE_INFINITY, measured: false };
      if (relu) return { ...bounded, x: this.kernels.relu(x), nonNegative: true };
      isReturned = true;
      return bounded;
    } finally {
      if (!isReturned) x.dispose();
    }
  }
}

/**
 * A convolution with batch norm folded in (float32), as inference in `precision` uses it. Takes ownership of filter and bias.
 * @throws NonFiniteOutputError if a value overflowed in the folding, or does in `precision`.
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
    throw new NonFiniteOutputError(`The ${broken} of ${path}, with batch norm folded in,`);
  }
  return { path, geometry, filter: stored.filter, bias, gain, offset: kernels.largestMagnitude(bias) };
}

/** The bounds of a convolution's output (see `FoldedConvolution`), of a finite filter [kh,kw,I,O] and bias [O] in memory. */
export function convolutionBounds(
  filter: Float32Array,
  bias: Float32Array,
): Pick<FoldedConvolution, 'gain' | 'offset'> {
  const outputs = bias.length;
  const sums = new Float64Array(outputs);
  for (let i = 0; i < filter.length; i++) sums[i % outputs]! += Math.abs(filter[i]!);
  let [gain, offset] = [0, 0];
  for (const sum of sums) gain = Math.max(gain, sum);
  for (const value of bias) offset = Math.max(offset, Math.abs(value));
  return { gain, offset };
}

/** max_o Σ|w_o| of a finite filter, [kh,kw,I,O]; Infinity if it overflows. */
function largestChannelSum(tf: typeof tfjs, kernels: Kernels, filter: Tensor4D): number {
  const outputs = filter.shape[3];
  const terms = filter.size / outputs;
  // A matrix product: for a sum over the first axes, WebAssembly would transpose the filter.
  const sums = tf.tidy(() => tf.matMul(tf.ones([1, terms]), tf.reshape(tf.abs(filter), [terms, outputs])));
  return thenDispose(kernels.largestMagnitude(sums, true), sums);
}
