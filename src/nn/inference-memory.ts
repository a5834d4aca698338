import type { Precision } from '../experiments/experiment.js';
import { forwardSlices } from '../kernels/tensorflow/convolution.js';
import { type Architecture, type BlockSpec, type ConvolutionSpec, headConvolutions } from './architecture.js';
import { FLOAT, HALF, type Ledger, outputShape, pooledShape, type Shape } from './ledger.js';

const elements = ([height, width, channels]: Shape) => height * width * channels;
const filterElements = ({ kernel, inputChannels, outputChannels }: ConvolutionSpec) =>
  kernel ** 2 * inputChannels * outputChannels;

/**
 * The live tensors of the folded network (nn/inference.ts) from shapes alone: goes through a pass as it does, one image at a
 * time, with the native kernels of processors, and counts on a ledger what each step takes and releases.
 */
export class InferenceBytes {
  /** Bytes of a value of an image. */
  private readonly element: number;

  constructor(
    private readonly ledger: Ledger,
    private readonly network: Architecture,
    precision: Precision,
  ) {
    this.element = precision === 'fp32' ? FLOAT : HALF;
  }

  /** Takes the folded filters and their biases. @returns their bytes. */
  weights(): number {
    const { stem, stages, decodeHead } = this.network;
    const blocks = stages.flat();
    const convolutions = [
      ...stem,
      ...blocks.flatMap(({ units, downsample }) => [...units, ...(downsample ? [downsample] : [])]),
      ...headConvolutions(decodeHead),
    ];
    const bytes = convolutions
      .map((spec) => this.element * filterElements(spec) + FLOAT * spec.outputChannels)
      .reduce((sum, each) => sum + each, 0);
    this.ledger.take(bytes);
    return bytes;
  }

  /** A pass over an image of [height, width] that stays. Takes the logits, in float32. @returns their shape. */
  logits([height, width]: readonly [number, number]): Shape {
    const { network, ledger } = this;
    const { decodeHead } = network;
    const images: Shape = [height, width, 3];
    const stored = this.element === FLOAT ? 0 : this.bytes(images);
    ledger.take(stored);
    let x = this.convolution(network.stem[0]!, images, true);
    for (const unit of network.stem.slice(1)) x = this.next(x, (input) => this.convolution(unit, input, true));
    x = this.next(x, (input) => this.taken(pooledShape(input)));
    for (const block of network.stages.slice(0, decodeHead.input + 1).flat()) x = this.block(block, x);
    ledger.drop(stored);

    const features = x;
    for (const unit of decodeHead.convolutions) {
      const y = this.convolution(unit, x, true);
      if (x !== features) this.drop(x);
      x = y;
    }
    const { concatenation } = decodeHead;
    if (concatenation !== null) {
      const joined = this.taken([x[0], x[1], features[2] + x[2]]);
      this.drop(x);
      this.drop(features);
      x = this.next(joined, (input) => this.convolution(concatenation, input, true));
    } else if (x !== features) {
      this.drop(features);
    }
    x = this.next(x, (input) => this.convolution(decodeHead.classifier, input, false));
    if (this.element === HALF) {
      ledger.take(FLOAT * elements(x));
      this.drop(x);
    }
    return x;
  }

  private bytes(shape: Shape): number {
    return this.element * elements(shape);
  }

  private taken(shape: Shape): Shape {
    this.ledger.take(this.bytes(shape));
    return shape;
  }

  private drop(shape: Shape): void {
    this.ledger.drop(this.bytes(shape));
  }

  private next(x: Shape, apply: (x: Shape) => Shape): Shape {
    const y = apply(x);
    this.drop(x);
    return y;
  }

  /** The convolution's output, beside it that with the bias, beside that the activated one; the last stays. */
  private convolution(spec: ConvolutionSpec, x: Shape, relu: boolean): Shape {
    const { ledger } = this;
    const shape = outputShape(spec, x);
    const bytes = this.bytes(shape);
    const slices = forwardSlices(spec.kernel, spec.inputChannels);
    if (slices > 1) {
      const part = (this.bytes(x) + this.element * filterElements(spec)) / slices;
      // A slice of the input and of the filter with their output, beside the sum so far; then both sums.
      ledger.take(bytes);
      ledger.touch(part + bytes);
      ledger.touch(2 * bytes);
    } else {
      ledger.take(bytes);
    }
    ledger.touch(bytes);
    if (relu) ledger.touch(bytes);
    return shape;
  }

  /** Consumes the input. */
  private block({ units, downsample }: BlockSpec, x: Shape): Shape {
    let inner = this.convolution(units[0]!, x, true);
    units.slice(1).forEach((unit, i) => {
      inner = this.next(inner, (input) => this.convolution(unit, input, i + 2 < units.length));
    });
    const identity = downsample === null ? null : this.convolution(downsample, x, false);
    const sum = this.taken(inner);
    this.drop(inner);
    if (identity !== null) this.drop(identity);
    const y = this.next(sum, (input) => this.taken(input));
    this.drop(x);
    return y;
  }
}
