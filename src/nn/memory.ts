import type { ModelRecipe, Precision } from '../experiments/experiment.js';
import { filterGradientIsSliced } from '../kernels/tensorflow/convolution.js';
import {
  type Architecture,
  architecture,
  type BlockSpec,
  type ConvolutionSpec,
  type HeadSpec,
  type UnitSpec,
} from './architecture.js';
import { FLOAT, HALF, Ledger, outputShape, pooledShape, type Shape } from './ledger.js';
import { isTrained, parameterSpecs } from './parameters.js';

/** Bytes of live tensors in training, by what holds them. */
export interface TrainingMemory {
  /** Parameters and running statistics, and the momentum of those that are trained. */
  readonly parameterBytes: number;
  /** What the forward pass keeps for the backward pass, at its end. */
  readonly keptBytes: number;
  /** The largest sum at any time of a step. */
  readonly peakBytes: number;
}

/** What a `Value` of the tape takes: its tensor, while it is held, and its gradient. */
class ValueBytes {
  private held = true;
  private hasGradient = false;

  /** @param rebuild Takes what computing it again takes besides the value itself; null where it is always kept. */
  constructor(
    private readonly ledger: Ledger,
    readonly shape: Shape,
    readonly bytes: number,
    private readonly rebuild: (() => void) | null,
  ) {}

  /** For its use. */
  hold(): void {
    if (this.held) return;
    this.rebuild?.();
    this.ledger.take(this.bytes);
    this.held = true;
  }

  get canRest(): boolean {
    return this.rebuild !== null;
  }

  rest(): void {
    if (this.rebuild !== null) this.release();
  }

  release(): void {
    if (this.held) this.ledger.drop(this.bytes);
    this.held = false;
  }

  /** Adds a gradient that is already counted. */
  addGradient(): void {
    if (this.addSharedGradient()) return;
    this.ledger.drop(this.bytes);
  }

  /** Adds a gradient that is another's, too. @returns whether it has become this value's only one: the same memory. */
  addSharedGradient(): boolean {
    if (this.hasGradient) {
      this.ledger.touch(this.bytes);
      return false;
    }
    this.hasGradient = true;
    return true;
  }
}

/**
 * Estimates the live tensors of a training step from shapes alone, by going through the same steps as the modules do on their
 * tape: what each takes, keeps, computes again and releases, with the native kernels of processors. What an operation uses inside itself is
 * left out, and so is what is small: statistics, losses, dropout factors.
 * @param size [height, width] of the training crop.
 */
export function trainingMemory(
  recipe: ModelRecipe,
  size: readonly [number, number],
  batch: number,
  precision: Precision = 'fp32',
): TrainingMemory {
  return new StepBytes(architecture(recipe), size, batch, precision === 'fp32' ? FLOAT : HALF).run();
}

interface NormalisedBytes {
  readonly shape: Shape;
  /** Takes the output's gradient over, unless another keeps it; releases the output where it was kept until here. */
  backward(keepsGradient: boolean, activated: ValueBytes | null): void;
}

class StepBytes {
  private readonly ledger = new Ledger();
  private readonly backward: (() => void)[] = [];

  constructor(
    private readonly network: Architecture,
    private readonly size: readonly [number, number],
    private readonly batch: number,
    /** Bytes of a value of an image. */
    private readonly element: number,
  ) {}

  run(): TrainingMemory {
    const { network, ledger } = this;
    const parameterBytes = parameterSpecs(network)
      .map(({ kind, shape }) => FLOAT * shape.reduce((product, n) => product * n, 1) * (isTrained(kind) ? 2 : 1))
      .reduce((sum, bytes) => sum + bytes, 0);
    ledger.take(parameterBytes);
    const images = this.value([...this.size, 3], null);
    const labelBytes = FLOAT * this.batch * this.size[0] * this.size[1];
    ledger.take(labelBytes);

    let x = images;
    for (const spec of network.stem) x = this.after(x, this.unit(spec, x));
    x = this.after(x, this.maxPool(x));
    const stages = network.stages.map((blocks) => {
      for (const block of blocks) x = this.after(x, this.block(block, x));
      return x;
    });
    const heads = [network.decodeHead, network.auxiliaryHead].map((head) => ({
      head,
      logits: this.head(head, stages[head.input]!),
    }));
    const keptBytes = ledger.live - parameterBytes;
    for (const { head, logits } of heads) this.loss(head, logits);
    ledger.drop(labelBytes);
    for (let step = this.backward.pop(); step !== undefined; step = this.backward.pop()) step();
    return { parameterBytes, keptBytes, peakBytes: ledger.peak };
  }

  private bytes([height, width, channels]: Shape): number {
    return this.element * this.batch * height * width * channels;
  }

  /** A value that has just been computed. */
  private value(shape: Shape, rebuild: (() => void) | null): ValueBytes {
    const bytes = this.bytes(shape);
    this.ledger.take(bytes);
    return new ValueBytes(this.ledger, shape, bytes, rebuild);
  }

  /** The next value, after which this one may rest. */
  private after(x: ValueBytes, y: ValueBytes): ValueBytes {
    x.rest();
    return y;
  }

  /** A convolution: takes its output, which is kept. What is normalised is left to the caller. */
  private normalised(spec: UnitSpec, x: ValueBytes): NormalisedBytes {
    x.hold();
    const shape = outputShape(spec, x.shape);
    const bytes = this.bytes(shape);
    const filterCount = spec.kernel ** 2 * spec.inputChannels * spec.outputChannels;
    // In 16 bits a copy of the filter is made for each use.
    const rounded = this.element === FLOAT ? 0 : HALF * filterCount;
    this.ledger.take(bytes);
    this.ledger.touch(rounded);
    return {
      shape,
      backward: (keepsGradient, activated) => {
        // The gradient of the norm's input, then without that of its output and the convolution's output.
        this.ledger.take(bytes);
        this.ledger.drop(keepsGradient ? bytes : 2 * bytes);
        activated?.release();
        // The images, of which alone the channels are 3, need no gradient.
        if (spec.inputChannels !== 3) {
          this.ledger.take(x.bytes);
          this.ledger.touch(rounded);
          x.addGradient();
        }
        x.hold();
        this.ledger.take(this.element * filterCount);
        // Joined from slices, which go.
        if (filterGradientIsSliced(spec.kernel, spec.inputChannels)) this.ledger.touch(this.element * filterCount);
        this.ledger.drop(bytes);
        // In float32 the optimizer takes it at once, in 16 bits when all are there.
        if (this.element === FLOAT) this.ledger.drop(FLOAT * filterCount);
      },
    };
  }

  private unit(spec: UnitSpec, x: ValueBytes): ValueBytes {
    const { shape, backward } = this.normalised(spec, x);
    const value = this.value(shape, () => undefined);
    this.backward.push(() => {
      value.hold();
      backward(false, value);
    });
    return value;
  }

  private maxPool(x: ValueBytes): ValueBytes {
    const value = this.value(pooledShape(x.shape), null);
    this.backward.push(() => {
      x.hold();
      this.ledger.take(x.bytes);
      x.addGradient();
      this.ledger.drop(value.bytes);
      value.release();
    });
    return value;
  }

  private block(block: BlockSpec, x: ValueBytes): ValueBytes {
    let inner = x;
    for (const spec of block.units.slice(0, -1)) {
      const y = this.unit(spec, inner);
      if (inner !== x) inner.rest();
      inner = y;
    }
    const projection = block.downsample === null ? null : this.normalised(block.downsample, x);
    const last = this.normalised(block.units.at(-1)!, inner);
    if (inner !== x) inner.rest();
    const bytes = this.bytes(last.shape);
    const canRest = projection !== null || !x.canRest;
    /** The projection beside the value, which is counted by itself. */
    const join = () => {
      if (projection === null) x.hold();
      else this.ledger.touch(2 * bytes);
    };
    join();
    const value = this.value(last.shape, canRest ? join : null);
    this.backward.push(() => {
      value.hold();
      // The masked gradient beside the gradient and the value, which go.
      this.ledger.touch(bytes);
      value.release();
      // Both paths share it.
      let kept = false;
      if (projection === null) kept = x.addSharedGradient();
      else projection.backward(true, null);
      last.backward(kept, null);
    });
    return value;
  }

  private head(spec: HeadSpec, input: ValueBytes): ValueBytes {
    let x = input;
    for (const unit of spec.convolutions) {
      const y = this.unit(unit, x);
      if (x !== input) x.rest();
      x = y;
    }
    if (spec.concatenation !== null) {
      const joined = this.concatenation(input, x);
      x.rest();
      x = this.unit(spec.concatenation, joined);
      joined.rest();
    }
    if (spec.dropout > 0) x = this.after(x, this.dropout(x));
    const logits = this.classifier(spec.classifier, x);
    x.rest();
    input.rest();
    return logits;
  }

  private concatenation(a: ValueBytes, b: ValueBytes): ValueBytes {
    const [height, width] = a.shape;
    const holdBoth = () => {
      a.hold();
      b.hold();
    };
    holdBoth();
    const value = this.value([height, width, a.shape[2] + b.shape[2]], holdBoth);
    this.backward.push(() => {
      value.release();
      this.ledger.take(value.bytes);
      // The parts' gradients together are as large as the whole's.
      this.ledger.drop(value.bytes);
      a.addGradient();
      b.addGradient();
    });
    return value;
  }

  private dropout(x: ValueBytes): ValueBytes {
    x.hold();
    const value = this.value(x.shape, () => x.hold());
    this.backward.push(() => {
      value.release();
      this.ledger.touch(value.bytes);
      x.addGradient();
    });
    return value;
  }

  private classifier(spec: ConvolutionSpec, x: ValueBytes): ValueBytes {
    x.hold();
    const value = this.value(outputShape(spec, x.shape), null);
    this.backward.push(() => {
      value.release();
      this.ledger.take(x.bytes);
      x.addGradient();
      x.hold();
      this.ledger.drop(value.bytes);
    });
    return value;
  }

  /**
   * At the labels' size, in float32: the logits and their gradient.
   */
  private loss(head: HeadSpec, logits: ValueBytes): void {
    const pixels = FLOAT * this.batch * this.size[0] * this.size[1];
    this.ledger.touch(2 * head.classifier.outputChannels * pixels);
    this.ledger.take(logits.bytes);
    logits.addGradient();
  }
}
