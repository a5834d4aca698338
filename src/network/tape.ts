import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import {
  type Activation,
  type BatchNormGradients,
  type BatchNormStatistics,
  type Gradients,
  type Kernels,
  type Normalisation,
  thenDispose,
} from '../kernels/kernels.js';
import type { Precision } from '../recipe/experiment.js';
import type { Pause } from '../support/pauses.js';
import type { Parameters } from './parameters.js';

/**
 * A tensor of the forward pass, owned by the tape. If it is cheap to recompute (`rebuild`), it can `rest`: its memory is
 * freed until the backward pass asks for it.
 */
export class Value {
  private held: Tensor4D | null;
  private gradients: Gradients | null = null;
  /** Whether it rests between the backward steps that read it: recomputing it costs less than its memory. */
  restsBetweenReaders = false;
  readonly shape: [number, number, number, number];

  constructor(
    private readonly kernels: Kernels,
    tensor: Tensor4D,
    private readonly rebuild: (() => Tensor4D) | null,
    readonly needsGradient: boolean,
    /** Whether its producer's backward step takes only its gradient. */
    private readonly isReadByConsumersOnly: boolean,
  ) {
    this.held = tensor;
    this.shape = tensor.shape;
  }

  /** The tensor, recomputed if the value was resting. The value keeps owning it. */
  tensor(): Tensor4D {
    if (this.held === null) {
      if (this.rebuild === null) throw new Error('A value was used after its release.');
      this.held = this.rebuild();
    }
    return this.held;
  }

  /** Whether `tensor()` may have to recompute it. */
  get canRest(): boolean {
    return this.rebuild !== null;
  }

  /** Frees the memory until the backward pass if the value can be recomputed; keeps it otherwise. */
  rest(): void {
    if (this.rebuild !== null) this.release();
  }

  /**
   * Called by a consumer's backward step once it has read the tensor: frees the memory if nobody else will read it, or it rests until then.
   */
  consumed(): void {
    if (this.isReadByConsumersOnly) this.release();
    else if (this.restsBetweenReaders) this.rest();
  }

  /** Frees the memory for good: called by the value's producer at the end of its backward step. */
  release(): void {
    this.held?.dispose();
    this.held = null;
  }

  /** Adds a gradient of the value; takes ownership of it. */
  addGradient(gradient: Tensor4D): void {
    this.gradients = this.gradients === null ? [gradient] : [this.takeGradient(), gradient];
  }

  /** The summed gradient; the caller owns it now. */
  takeGradient(): Tensor4D {
    const [gradient, other] = this.takeGradients();
    return other === undefined ? gradient : thenDispose(this.kernels.add(gradient, other), gradient, other);
  }

  /** The gradients that are still to be added; the caller owns them now. */
  takeGradients(): Gradients {
    const { gradients } = this;
    if (gradients === null) throw new Error('No gradient has reached this value.');
    this.gradients = null;
    return gradients;
  }
}

type BackwardStep = () => void | Promise<void>;

/**
 * Reverse-mode differentiation at the level of modules: each module's forward pass pushes its backward step. Running the tape
 * calls them in reverse; each step takes its output's gradient, adds to its inputs' gradients, passes complete parameter
 * gradients to the optimizer and releases what it saved. So no tensor outlives its last use.
 */
export class Tape {
  private steps: BackwardStep[] = [];

  constructor(private readonly kernels: Kernels) {}

  /** Puts a tensor on the tape, which then owns it. */
  value(
    tensor: Tensor4D,
    rebuild: (() => Tensor4D) | null = null,
    { needsGradient = true, isReadByConsumersOnly = false } = {},
  ): Value {
    return new Value(this.kernels, tensor, rebuild, needsGradient, isReadByConsumersOnly);
  }

  push(step: BackwardStep): void {
    this.steps.push(step);
  }

  /** Runs the backward steps, last one first, with a pause after each, and empties the tape. */
  async backward(pause: Pause): Promise<void> {
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      await step();
      await pause();
    }
  }
}

/** Batch norm over the whole batch, of which a pass may have only a part: then it waits for the others (see `Kernels`). */
export interface BatchNormOfPass {
  batchNorm(
    x: Tensor4D,
    normalisation: Normalisation,
    activation: Activation,
  ): Promise<{ y: Tensor4D; statistics: BatchNormStatistics }>;
  batchNormGradient(
    gradient: Tensor4D,
    x: Tensor4D,
    normalisation: Normalisation,
    statistics: BatchNormStatistics,
    y: Tensor4D | null,
  ): Promise<BatchNormGradients>;
}

/** Shared by the modules in one training step. */
export interface TrainingPass {
  readonly tf: typeof tfjs;
  readonly kernels: Kernels;
  readonly tape: Tape;
  readonly parameters: Parameters;
  /** Images and their gradients are stored in it. */
  readonly precision: Precision;
  /** The losses' gradients are multiplied by it, so that small ones do not vanish in 16 bits. */
  readonly lossScale: number;
  readonly norm: BatchNormOfPass;
  /**
   * Whether the gradients of parameters are kept until the end of the step. To make room for them, what is large and cheap to recompute
   * rests as often as possible.
   */
  readonly holdsGradients: boolean;
  /** How many shards of the same size the batch has; this pass has one of them. */
  readonly shards: number;
  /** Takes a parameter's gradient, as far as it comes from the images of this pass, and ownership of it. */
  update(path: string, gradient: Tensor): void;
  /** The same for a gradient that is that of the whole batch already. */
  updateOfBatch(path: string, gradient: Tensor): void;
  /** Has `move` move running statistics with those of the batch, now or at the end of the step. It owns no tensor that it gets. */
  moveRunning(batch: BatchNormStatistics, move: (batch: BatchNormStatistics) => void): void;
  /**
   * Channel factors of a dropout, [count, 1, 1, channels] in row-major order: 0 with probability `rate`,
   * 1/(1 − rate) otherwise. `place` identifies the dropout within the network.
   */
  dropoutFactors(place: number, count: number, channels: number, rate: number): Float32Array;
  /** Awaited between modules. */
  readonly pause: Pause;
}
