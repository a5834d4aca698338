import type { Tensor3D } from '@tensorflow/tfjs-core';
import { type Batch, IGNORE_INDEX } from '../data/batch.js';
import type { Engine } from '../engines/engine.js';
import type { Experiment } from '../experiments/experiment.js';
import { createKernels, PeakMeter } from '../kernels/create.js';
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

/** One training step: batch → losses → gradients → SGD → running statistics. Owns the network and the optimizer. */
export class TrainingStep {
  readonly segmentor: Segmentor;
  readonly optimizer: MomentumOptimizer;
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
    const step = { learningRate: rate, momentum: training.momentum, weightDecay: training.weightDecay };
    const dropout = new Draws(seed, Purpose.dropout, iteration);
    const tape = new Tape(kernels);
    const pass: TrainingPass = {
      tf,
      kernels,
      tape,
      parameters,
      update: (path, gradient) => this.optimizer.update(path, gradient, step),
      dropoutFactors: (place, count, channels, dropRate) =>
        Float32Array.from({ length: count * channels }, (_, i) =>
          dropout.uniform(place * 2 ** 32 + i) < dropRate ? 0 : 1 / (1 - dropRate),
        ),
    };
    const images = tape.value(tf.tensor4d(batch.images, [batch.count, batch.height, batch.width, 3]), null, false);
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
    return {
      loss,
      decodeLoss: decode.loss,
      auxiliaryLoss: auxiliary.loss,
      accuracy: decode.accuracy,
      learningRate: rate,
    };
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
