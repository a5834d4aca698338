import type { ModelRecipe } from '../experiments/experiment.js';
import {
  type Architecture,
  architecture,
  type BlockSpec,
  type ConvolutionSpec,
  type HeadSpec,
  type UnitSpec,
} from './architecture.js';
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

type Shape = readonly [height: number, width: number, channels: number];

const FLOAT = 4;

/** Sum of live bytes, and the largest it has been. */
class Ledger {
  live = 0;
  peak = 0;

  take(bytes: number): void {
    this.live += bytes;
    this.peak = Math.max(this.peak, this.live);
  }

  drop(bytes: number): void {
    this.live -= bytes;
  }

  /** Takes bytes for a moment. */
  touch(bytes: number): void {
    this.take(bytes);
    this.drop(bytes);
  }
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
    if (!this.hasGradient) this.hasGradient = true;
    else {
      this.ledger.touch(this.bytes);
      this.ledger.drop(this.bytes);
    }
  }
}

/**
 * Estimates the live tensors of a training step from shapes alone, by going through the same steps as the modules do on their
 * tape: what each takes, keeps, computes again and releases, with the native kernels. What an operation uses inside itself is
 * left out, and so is what is small: statistics, losses, dropout factors.
 * @param size [height, width] of the training crop.
 */
export function trainingMemory(recipe: ModelRecipe, size: readonly [number, number], batch: number): TrainingMemory {
  const step = new StepBytes(architecture(recipe), size, batch);
  return step.run();
}

class StepBytes {
  private readonly ledger = new Ledger();
  private readonly backward: (() => void)[] = [];

  constructor(
    private readonly network: Architecture,
    private readonly size: readonly [number, number],
    private readonly batch: number,
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
    return FLOAT * this.batch * height * width * channels;
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

  /** Convolution and batch norm: takes the convolution's output, which is kept, and leaves the norm's to the caller. */
  private normalised(spec: UnitSpec, x: ValueBytes): { shape: Shape; backward: () => void } {
    x.hold();
    const shape = outputShape(spec, x.shape);
    const bytes = this.bytes(shape);
    const filterBytes = FLOAT * spec.kernel ** 2 * spec.inputChannels * spec.outputChannels;
    this.ledger.take(bytes);
    return {
      shape,
      /** Takes over the output's gradient. */
      backward: () => {
        // The gradient of the norm's input, then without the gradient of its output and the convolution's output.
        this.ledger.take(bytes);
        this.ledger.drop(2 * bytes);
        // The images, of which alone the channels are 3, need no gradient.
        if (spec.inputChannels !== 3) {
          this.ledger.take(x.bytes);
          x.addGradient();
        }
        x.hold();
        this.ledger.take(filterBytes);
        this.ledger.drop(bytes);
        // The optimizer's step: the decay beside gradient, parameter and momentum.
        this.ledger.touch(2 * filterBytes);
        this.ledger.drop(filterBytes);
      },
    };
  }

  private unit(spec: UnitSpec, x: ValueBytes): ValueBytes {
    const { shape, backward } = this.normalised(spec, x);
    const bytes = this.bytes(shape);
    // The norm's output, beside which the ReLU's is made.
    this.ledger.take(bytes);
    const value = this.value(shape, () => this.ledger.touch(2 * bytes));
    this.ledger.drop(bytes);
    this.backward.push(() => {
      value.hold();
      // The masked gradient beside the gradient and the value, which go.
      this.ledger.touch(bytes);
      value.release();
      backward();
    });
    return value;
  }

  private maxPool(x: ValueBytes): ValueBytes {
    const halve = (n: number) => Math.floor((n - 1) / 2) + 1;
    const [height, width, channels] = x.shape;
    const value = this.value([halve(height), halve(width), channels], null);
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
    const last = this.normalised(block.units.at(-1)!, inner);
    const bytes = this.bytes(last.shape);
    this.ledger.take(bytes);
    if (inner !== x) inner.rest();
    const projection = block.downsample === null ? null : this.normalised(block.downsample, x);
    if (projection !== null) this.ledger.take(bytes);
    /** The sum beside what is added; of a projection that goes, too. The ReLU's output is the value. */
    const join = () => {
      this.ledger.take(bytes);
      this.ledger.drop(projection === null ? bytes : 2 * bytes);
    };
    join();
    const canRest = projection !== null || !x.canRest;
    const rebuild = () => {
      this.ledger.take(projection === null ? bytes : 2 * bytes);
      if (projection === null) x.hold();
      join();
      this.ledger.touch(bytes);
      this.ledger.drop(bytes);
    };
    const value = this.value(last.shape, canRest ? rebuild : null);
    // The sum.
    this.ledger.drop(bytes);
    this.backward.push(() => {
      value.hold();
      this.ledger.touch(bytes);
      value.release();
      // Both paths share the gradient, which lives until the second is done with it.
      if (projection === null) {
        this.ledger.take(bytes);
        x.addGradient();
      } else {
        this.ledger.take(bytes);
        projection.backward();
      }
      last.backward();
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
   * At the labels' size: the logits and a flat view of them, which is counted as a tensor of its own; their gradient, and that
   * gradient before it is scaled. And seven numbers a pixel: labels, masks, losses.
   */
  private loss(head: HeadSpec, logits: ValueBytes): void {
    const full = this.bytes([...this.size, head.classifier.outputChannels]);
    this.ledger.touch(4 * full + 7 * this.bytes([...this.size, 1]));
    this.ledger.take(logits.bytes);
    logits.addGradient();
  }
}

function outputShape({ geometry, kernel, outputChannels }: ConvolutionSpec, [height, width]: Shape): Shape {
  const { stride, dilation, padding } = geometry;
  const output = (n: number) => Math.floor((n + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  return [output(height), output(width), outputChannels];
}
