import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import { type Batch, IGNORE_INDEX } from '../data/image.js';
import type { Engine, ShapesEngine } from '../engines/engine.js';
import { type PeakMemory, peakOfSize } from '../engines/memory.js';
import { createKernels, PeakMeter } from '../kernels/create.js';
import { type Kernels, type MomentumStep, thenDispose } from '../kernels/kernels.js';
import type { Parameters } from '../network/parameters.js';
import { type ForwardLosses, type PendingLosses, Segmentor } from '../network/segmentor.js';
import { Tape, type TrainingPass, type Value } from '../network/tape.js';
import { type BatchPart, wholeBatch } from '../network/whole-batch.js';
import type { Experiment, TrainingRecipe } from '../recipe/experiment.js';
import { ExitCode, UserError } from '../support/errors.js';
import { noPause, type Pause } from '../support/pauses.js';
import { Draws, Purpose } from '../support/random.js';

/** A loss or a gradient that is not finite ends training. Exit code 3. */
export class NonFiniteError extends UserError {
  override readonly name = 'NonFiniteError';
  override readonly exitCode = ExitCode.diverged;

  constructor(
    /** "The loss", "The gradient of …". */
    readonly what: string,
    /** From 0. */
    readonly iteration: number,
    readonly learningRate: number,
    /** Names of the batch's samples. */
    readonly names: readonly string[],
    /** Further findings, each a sentence. */
    findings: readonly string[] = [],
  ) {
    super(
      [
        `${what} is not finite at iteration ${iteration}, learning rate ${learningRate.toPrecision(4)}; batch: ${names.join(', ')}.`,
        ...findings,
      ].join(' '),
      'Look at these samples, or start again with a lower learning rate (--set learningRate=…).',
    );
  }
}

/**
 * SGD with momentum and weight decay as PyTorch's `torch.optim.SGD` (no dampening, no Nesterov), one group: decay applies
 * to batch norm and biases too. Each parameter moves as soon as its gradient is complete. Owns the velocities.
 */
export class MomentumOptimizer {
  private readonly velocities = new Map<string, Tensor>();

  constructor(
    private readonly tf: typeof tfjs,
    private readonly kernels: Kernels,
    private readonly parameters: Parameters,
  ) {}

  /** Moves one parameter; takes ownership of the gradient. */
  update(path: string, gradient: Tensor, step: MomentumStep): void {
    const parameter = this.parameters.get(path);
    const velocity = this.velocities.get(path) ?? this.tf.zerosLike(parameter);
    const next = this.kernels.momentumStep(parameter, gradient, velocity, step);
    this.parameters.replace(path, next.parameter);
    this.velocities.set(path, next.velocity);
  }

  /** The velocities by parameter path; the optimizer keeps owning them. */
  state(): ReadonlyMap<string, Tensor> {
    return this.velocities;
  }

  /** Sets a parameter's velocity and disposes the old one; takes ownership. */
  restore(path: string, velocity: Tensor): void {
    this.velocities.get(path)?.dispose();
    this.velocities.set(path, velocity);
  }

  dispose(): void {
    for (const velocity of this.velocities.values()) velocity.dispose();
    this.velocities.clear();
  }
}

/** Polynomial decay: (base − min)·(1 − i/max)^power + min, with iteration i from 0. */
export function learningRate(
  recipe: Pick<TrainingRecipe, 'learningRate' | 'minimumLearningRate' | 'power' | 'iterations'>,
  iteration: number,
): number {
  const { learningRate: base, minimumLearningRate: minimum, power, iterations } = recipe;
  return (base - minimum) * (1 - iteration / iterations) ** power + minimum;
}

export interface StepResult {
  /** decode + auxiliary. */
  readonly loss: number;
  readonly decodeLoss: number;
  /** Times its weight. */
  readonly auxiliaryLoss: number;
  /** Pixel accuracy of the decode head, percent. */
  readonly accuracy: number;
  readonly learningRate: number;
}

/** A forward pass whose backward steps are on its tape. */
export interface Forward {
  readonly losses: PendingLosses;
  readonly tape: Tape;
  readonly images: Value;
}

/** The losses, unless their sum is not finite. @throws what `fail` makes. */
function finiteLosses(losses: ForwardLosses, fail: (what: string) => Error): ForwardLosses {
  const sum = losses.decode.loss + losses.auxiliary.loss;
  if (Number.isFinite(sum)) return losses;
  throw fail(`The loss (${sum})`);
}

interface ForwardOptions extends Pick<TrainingPass, 'update' | 'pause'> {
  readonly kernels: Kernels;
  /** What the pass knows of the rest of its batch; default: it has all of it. */
  readonly part?: BatchPart;
  /** Position of its first image in the batch; default: 0. */
  readonly first?: number;
}

/** So many steps in a row that overflow in 16 bits are no accident. */
const MOST_OVERFLOWS_IN_A_ROW = 20;

/**
 * One training step: batch → losses → gradients → SGD → running statistics. Owns the network and the optimizer.
 *
 * Mixed precision (Micikevicius et al., ICLR 2018): images are stored and convolved in 16 bits; parameters, statistics and
 * losses stay float32; the losses' gradients are scaled up, and a step whose gradients overflow moves nothing.
 */
export class TrainingStep {
  readonly segmentor: Segmentor;
  readonly optimizer: MomentumOptimizer;
  /** Steps of mixed precision that moved nothing because a gradient overflowed. */
  skipped = 0;
  /** How many of these came last, in a row. */
  skippedInARow = 0;
  /** Whether a step that fails or is abandoned leaves the state of the step before it. */
  readonly movesAtOnce: boolean = false;
  private readonly meter: PeakMeter;

  constructor(
    protected readonly engine: Engine,
    protected readonly experiment: Experiment,
    anyThreads = false,
  ) {
    this.meter = new PeakMeter(engine);
    const kernels = createKernels(engine, this.meter, { anyThreads });
    this.segmentor = new Segmentor(engine.tf, kernels, experiment.model);
    this.optimizer = new MomentumOptimizer(engine.tf, kernels, this.segmentor.parameters);
  }

  /**
   * Runs iteration `iteration` (from 0). From the second step on, the number of tensors stays the same: the first one makes the
   * velocities.
   * @throws NonFiniteError if the loss is not finite, before any parameter has moved; if the gradient of a filter is not
   * finite, before that filter has moved; if many steps in a row overflow in 16 bits. What `pause` throws: it leaves the step
   * half done, with some parameters moved and some tensors held until the engine ends.
   */
  async run(batch: Batch, iteration: number, pause: Pause = noPause): Promise<StepResult> {
    const { precision } = this.experiment.training;
    const { kernels } = this.segmentor;
    const move = this.moveOf(iteration);
    const { learningRate: rate } = move;
    const fail = (what: string) => new NonFiniteError(what, iteration, rate, batch.names);
    const { gathersReads } = this.engine;
    // In float32 each parameter moves at once, and its gradient is freed; in 16 bits all gradients must be checked first, and where
    // a check would wait for the whole device, they are checked together.
    const gradients = precision === 'fp32' && !gathersReads ? null : new Map<string, Tensor>();
    const update = (path: string, gradient: Tensor) => {
      if (gradients !== null) {
        gradients.set(path, gradient);
        return;
      }
      // A value that is not finite always reaches the gradient of its layer's filter.
      if (gradient.rank === 4 && !kernels.allFinite([gradient])) throw fail(`The gradient of ${path}`);
      this.optimizer.update(path, gradient, move);
    };
    const { tape, images, losses } = await this.forward(batch, iteration, { kernels, update, pause });
    let result = gathersReads ? null : finiteLosses(losses.read(), fail);
    await tape.backward(pause);
    images.release();
    // Where losses are read behind the step, nothing has moved yet.
    result ??= finiteLosses(losses.read(), (what) => {
      this.engine.tf.dispose([...(gradients?.values() ?? [])]);
      return fail(what);
    });
    if (gradients !== null) {
      if (precision === 'fp32') this.moveAll(gradients, move, fail);
      else this.moveIfFinite(gradients, move, fail);
    }
    const { decode, auxiliary } = result;
    return {
      loss: decode.loss + auxiliary.loss,
      decodeLoss: decode.loss,
      auxiliaryLoss: auxiliary.loss,
      accuracy: decode.accuracy,
      learningRate: rate,
    };
  }

  /** How the parameters move in an iteration. */
  protected moveOf(iteration: number): MomentumStep {
    const { training } = this.experiment;
    const { momentum, weightDecay } = training;
    const rate = learningRate(training, iteration);
    return { learningRate: rate, momentum, weightDecay, gradientFactor: 1 / this.lossScale };
  }

  private get lossScale(): number {
    const { precision, lossScale } = this.experiment.training;
    return precision === 'fp32' ? 1 : lossScale;
  }

  /** The forward pass of a step. The caller reads the losses, runs the tape backwards and releases the images. */
  async forward(
    batch: Batch,
    iteration: number,
    { kernels, update, pause, part, first = 0 }: ForwardOptions,
  ): Promise<Forward> {
    const { tf } = this.engine;
    const { training, seed } = this.experiment;
    const { parameters } = this.segmentor;
    const { precision } = training;
    const dropout = new Draws(seed, Purpose.dropout, iteration);
    const tape = new Tape(kernels);
    const pass: TrainingPass = {
      tf,
      kernels,
      tape,
      parameters,
      precision,
      lossScale: this.lossScale,
      ...(part ?? wholeBatch(kernels, update)),
      update,
      pause,
      dropoutFactors: (place, count, channels, dropRate) =>
        Float32Array.from({ length: this.engine.isTwin ? 0 : count * channels }, (_, i) =>
          dropout.uniform(place * 2 ** 32 + first * channels + i) < dropRate ? 0 : 1 / (1 - dropRate),
        ),
    };
    const stored = (): Tensor4D => {
      const full = tf.tensor4d(batch.images, [batch.count, batch.height, batch.width, 3]);
      return thenDispose(kernels.cast(full, precision), full);
    };
    const images = tape.value(stored(), pass.holdsGradients ? stored : null, { needsGradient: false });
    const labels: Tensor3D = tf.tensor3d(batch.labels, [batch.count, batch.height, batch.width], 'int32');
    const losses = await this.segmentor.losses(pass, images, labels, IGNORE_INDEX);
    labels.dispose();
    return { tape, images, losses };
  }

  /**
   * In float32: moves the parameters if the gradients of all filters are finite. Owns the gradients.
   * @throws NonFiniteError, made by `fail`, otherwise.
   */
  private moveAll(
    gradients: ReadonlyMap<string, Tensor>,
    move: MomentumStep,
    fail: (what: string) => NonFiniteError,
  ): void {
    const { kernels } = this.segmentor;
    const filters = [...gradients].filter(([, { rank }]) => rank === 4);
    if (!kernels.allFinite(filters.map(([, gradient]) => gradient))) {
      const broken = filters.find(([, gradient]) => !kernels.allFinite([gradient]));
      this.engine.tf.dispose([...gradients.values()]);
      throw fail(`The gradient of ${broken![0]}`);
    }
    for (const [path, gradient] of gradients) this.optimizer.update(path, gradient, move);
  }

  /**
   * In 16 bits: moves the parameters if every gradient is finite. Owns the gradients.
   * @throws NonFiniteError, made by `fail`, if this was the last of many steps in a row that overflowed.
   */
  protected moveIfFinite(
    gradients: ReadonlyMap<string, Tensor>,
    move: MomentumStep,
    fail: (what: string) => NonFiniteError,
  ): void {
    const finite = this.segmentor.kernels.allFinite([...gradients.values()]);
    for (const [path, gradient] of gradients) {
      if (finite) this.optimizer.update(path, gradient, move);
      else gradient.dispose();
    }
    if (!finite) this.skipped++;
    this.skippedInARow = finite ? 0 : this.skippedInARow + 1;
    if (this.skippedInARow < MOST_OVERFLOWS_IN_A_ROW) return;
    const steps = `each of ${this.skippedInARow} steps in a row`;
    throw fail(`A gradient in 16 bits (loss scale ${this.experiment.training.lossScale}) of ${steps}`);
  }

  /** Largest sum of live tensor bytes since the start or the last `resetPeak`. */
  get peakLiveBytes(): number {
    return this.meter.bytes;
  }

  resetPeak(): void {
    this.meter.reset();
  }

  dispose(): void {
    this.segmentor.dispose();
    this.optimizer.dispose();
  }
}

/** The first step makes the velocities; the second has every tensor. */
const STEPS = 2;

/**
 * Memory of a training step's tensors, without computing it: the step runs on the engine's twin that knows shapes only.
 * @param sizeHw [height, width] of the training crop.
 * @param images Images in a batch.
 */
export function trainingMemory(
  engine: Engine,
  experiment: Experiment,
  sizeHw: readonly [number, number],
  images: number,
): Promise<PeakMemory> {
  return peakOfSize(sizeHw, images, (smaller) =>
    engine.withShapes((twin) =>
      memoryOfSteps(twin, new TrainingStep(twin, experiment), smaller.size(sizeHw), smaller.images),
    ),
  );
}

/** Memory of a step's tensors on a twin. Disposes the step. @param images Images of its batch. */
export async function memoryOfSteps(
  twin: ShapesEngine,
  step: TrainingStep,
  [height, width]: readonly [number, number],
  images: number,
): Promise<PeakMemory> {
  // The twin uses the shapes only.
  const batch = { count: images, height, width, images: new Float32Array(), labels: new Int32Array(), names: [] };
  try {
    const { parameters } = step.segmentor;
    for (const { path, shape } of parameters.specs) parameters.set(path, twin.tf.fill([...shape], 0));
    step.resetPeak();
    for (let i = 0; i < STEPS; i++) await step.run(batch, 0);
    const [addressedBytes, residentBytes] = [twin.addressedBytes(), twin.residentBytes()];
    return { peakBytes: step.peakLiveBytes, addressedBytes, residentBytes };
  } finally {
    step.dispose();
  }
}
