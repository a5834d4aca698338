import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import { type Batch, IGNORE_INDEX } from '../data/batch.js';
import type { Engine } from '../engines/engine.js';
import type { Experiment } from '../experiments/experiment.js';
import { createKernels, PeakMeter } from '../kernels/create.js';
import type { MomentumStep } from '../kernels/kernels.js';
import type { TrainingPass } from '../nn/pass.js';
import { Segmentor } from '../nn/segmentor.js';
import { Tape } from '../nn/tape.js';
import { UserError } from '../support/errors.js';
import { Draws, Purpose } from '../support/random.js';
import { MomentumOptimizer } from './optimizer.js';
import { learningRate } from './schedule.js';

export interface StepResult {
  /** decode + auxiliary. */
  readonly loss: number;
  readonly decodeLoss: number;
  /** With its weight already in it. */
  readonly auxiliaryLoss: number;
  /** Pixel accuracy of the decode head, percent. */
  readonly accuracy: number;
  readonly learningRate: number;
}

/**
 * One training step: batch → losses → gradients → SGD → running statistics. Owns the network and the optimizer.
 *
 * Mixed precision (Micikevicius et al., ICLR 2018): images are stored and convolved in 16 bits; parameters, statistics and
 * losses stay float32; the losses' gradients are scaled up, and a step whose gradients overflow moves nothing.
 */
export class TrainingStep {
  readonly segmentor: Segmentor;
  readonly optimizer: MomentumOptimizer;
  /** Steps of mixed precision that moved nothing, as a gradient had overflowed. */
  skipped = 0;
  private readonly meter: PeakMeter;

  constructor(
    private readonly engine: Engine,
    private readonly experiment: Experiment,
  ) {
    this.meter = new PeakMeter(engine);
    const kernels = createKernels(engine, this.meter);
    this.segmentor = new Segmentor(engine.tf, kernels, experiment.model);
    this.optimizer = new MomentumOptimizer(engine.tf, kernels, this.segmentor.parameters);
  }

  /**
   * Runs iteration `iteration` (from 0). The number of tensors after a step equals the number before it, from the second step on:
   * the first one makes the velocities.
   * @throws UserError when the loss is not finite, before any parameter has moved.
   */
  run(batch: Batch, iteration: number): StepResult {
    const { tf } = this.engine;
    const { training, seed } = this.experiment;
    const { kernels, parameters } = this.segmentor;
    const rate = learningRate(training, iteration);
    const { precision, momentum, weightDecay } = training;
    const lossScale = precision === 'fp32' ? 1 : training.lossScale;
    const move = { learningRate: rate, momentum, weightDecay, gradientFactor: 1 / lossScale };
    // In float32 each parameter moves, and its gradient is freed, at once; an overflow shows only once all are there.
    const gradients = precision === 'fp32' ? null : new Map<string, Tensor>();
    const dropout = new Draws(seed, Purpose.dropout, iteration);
    const tape = new Tape(kernels);
    const pass: TrainingPass = {
      tf,
      kernels,
      tape,
      parameters,
      precision,
      lossScale,
      update: (path, gradient) => {
        if (gradients === null) this.optimizer.update(path, gradient, move);
        else gradients.set(path, gradient);
      },
      dropoutFactors: (place, count, channels, dropRate) =>
        Float32Array.from({ length: count * channels }, (_, i) =>
          dropout.uniform(place * 2 ** 32 + i) < dropRate ? 0 : 1 / (1 - dropRate),
        ),
    };
    const full = tf.tensor4d(batch.images, [batch.count, batch.height, batch.width, 3]);
    const images = tape.value(kernels.cast(full, precision), null, false);
    full.dispose();
    const labels: Tensor3D = tf.tensor3d(batch.labels, [batch.count, batch.height, batch.width], 'int32');
    const { decode, auxiliary } = this.segmentor.losses(pass, images, labels, IGNORE_INDEX);
    labels.dispose();
    const loss = decode.loss + auxiliary.loss;
    if (!Number.isFinite(loss)) {
      throw new UserError(
        `The loss is not finite (${loss}) at iteration ${iteration}, learning rate ${rate.toPrecision(4)}; batch: ${batch.names.join(', ')}.`,
        'Check these samples, or start again with a lower learning rate (--set learningRate=…).',
      );
    }
    tape.backward();
    images.release();
    if (gradients !== null) this.moveAll(gradients, move);
    return {
      loss,
      decodeLoss: decode.loss,
      auxiliaryLoss: auxiliary.loss,
      accuracy: decode.accuracy,
      learningRate: rate,
    };
  }

  /** Moves the parameters where every gradient is finite. */
  private moveAll(gradients: ReadonlyMap<string, Tensor>, move: MomentumStep): void {
    const finite = this.segmentor.kernels.allFinite([...gradients.values()]);
    for (const [path, gradient] of gradients) {
      if (finite) this.optimizer.update(path, gradient, move);
      else gradient.dispose();
    }
    if (!finite) this.skipped++;
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
