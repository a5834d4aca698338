import type { Tensor, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Batch } from '../data/image.js';
import type { Engine } from '../engines/engine.js';
import type { BatchNormStatistics } from '../kernels/kernels.js';
import type { BatchPart } from '../network/whole-batch.js';
import type { Communicator } from '../parallel/communicator.js';
import { GradientSums } from '../parallel/gradient-sums.js';
import { Meeting } from '../parallel/meeting.js';
import type { TrainingPart } from '../parallel/processes.js';
import type { Share } from '../parallel/shards.js';
import type { Experiment } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { noPause, type Pause } from '../support/pauses.js';
import { treeSum } from '../support/shard-tree.js';
import { NonFiniteError, type StepResult, TrainingStep } from './step.js';

/** Mean losses and accuracy of a shard, or of the batch. */
interface Losses {
  readonly decode: number;
  readonly auxiliary: number;
  readonly accuracy: number;
}

/** What the shards of one process share in one step. */
interface SharedStep {
  readonly meeting: Meeting;
  readonly sums: GradientSums;
  /** What moves the running statistics, at the end. */
  readonly running: (() => void)[];
}

/**
 * A training step on a batch that is divided into shards, of which this process has some and other processes the rest. Each shard has
 * a pass of its own; the passes proceed side by side and wait for each other at every batch norm. No operation sees more than one shard,
 * and sums over shards have one order, so weights have the same bits whatever the number of processes.
 *
 * Nothing moves before all gradients are there: if a step fails, the state is still that after the step before.
 */
export class ShardedTrainingStep extends TrainingStep {
  override readonly movesAtOnce = true;
  /** In which gradients were not there yet when the backward pass had ended, so far. */
  waitedMilliseconds = 0;
  private readonly communicator: Communicator;
  private readonly share: Share;

  constructor(engine: Engine, experiment: Experiment, part: TrainingPart) {
    super(engine, experiment, true);
    this.communicator = part.communicator;
    this.share = part.share;
  }

  /**
   * Runs iteration `iteration` (from 0).
   * @param batch The images of this process.
   * @throws NonFiniteError, in all processes alike, before any parameter has moved. What `pause` and the communicator throw: nothing
   * has moved then, but some tensors are held until the engine ends.
   */
  override async run(batch: Batch, iteration: number, pause: Pause = noPause): Promise<StepResult> {
    const { share, communicator } = this;
    const { kernels } = this.segmentor;
    const own = share.own.end - share.own.begin;
    const add = (left: Tensor, right: Tensor): Tensor => {
      const sum = kernels.add(left, right);
      left.dispose();
      right.dispose();
      return sum;
    };
    const shared: SharedStep = {
      meeting: new Meeting(own),
      sums: new GradientSums(communicator, share.shards, share.own, add),
      running: [],
    };
    const shards = Array.from({ length: own }, (_, index) =>
      this.runShard(shardOf(batch, index, share.imagesOfShard), { index, iteration, pause, shared }),
    );
    let losses: Losses;
    try {
      [losses] = (await Promise.all(shards)) as [Losses, ...Losses[]];
    } catch (error) {
      shared.meeting.fail(error);
      throw error;
    }
    const start = performance.now();
    const gradients = await shared.sums.finish();
    this.waitedMilliseconds += performance.now() - start;
    this.move(gradients, batch, iteration);
    for (const move of shared.running) move();
    return {
      loss: losses.decode + losses.auxiliary,
      decodeLoss: losses.decode,
      auxiliaryLoss: losses.auxiliary,
      accuracy: losses.accuracy,
      learningRate: this.moveOf(iteration).learningRate,
    };
  }

  /** One shard's part of a step. @returns the losses of the whole batch. */
  private async runShard(
    batch: Batch,
    {
      index,
      iteration,
      pause,
      shared,
    }: { readonly index: number; readonly iteration: number; readonly pause: Pause; readonly shared: SharedStep },
  ): Promise<Losses> {
    const { meeting, sums } = shared;
    const { kernels } = this.segmentor;
    const shard = this.share.own.begin + index;
    const update = (path: string, gradient: Tensor) => {
      const full = kernels.cast(gradient, 'fp32');
      gradient.dispose();
      sums.addShard(path, shard, full);
    };
    const pauseAll = async () => {
      meeting.assertGoing();
      await pause();
      meeting.assertGoing();
    };
    const {
      tape,
      images,
      losses: pending,
    } = await this.forward(batch, iteration, {
      kernels,
      update,
      pause: pauseAll,
      part: this.partOf(index, shared),
      first: shard * this.share.imagesOfShard,
    });
    const { decode, auxiliary } = pending.read();
    const own = { decode: decode.loss, auxiliary: auxiliary.loss, accuracy: decode.accuracy };
    const losses = await meeting.bring(index, own, (parts: readonly Losses[]) => this.meanLosses(parts));
    const loss = losses.decode + losses.auxiliary;
    if (!Number.isFinite(loss)) throw this.failure(`The loss (${loss})`, iteration, batch.names);
    await tape.backward(pauseAll);
    images.release();
    return losses;
  }

  /** How a shard's pass works with the others. */
  private partOf(index: number, { meeting, sums, running }: SharedStep): BatchPart {
    const { kernels } = this.segmentor;
    const gather = async (part: Tensor3D): Promise<Tensor3D> => {
      const all = await meeting.bring(index, part, (parts: readonly Tensor3D[]) => this.gather(parts));
      part.dispose();
      return all[index]!;
    };
    return {
      norm: {
        async batchNorm(x, normalisation, activation) {
          const moments = await gather(kernels.batchNormMoments(x));
          const result = kernels.batchNormOfShards(x, normalisation, activation, moments);
          moments.dispose();
          return result;
        },
        async batchNormGradient(gradient: Tensor4D, x, normalisation, statistics: BatchNormStatistics, y) {
          const sums = await gather(kernels.batchNormGradientSums(gradient, x, normalisation, statistics, y));
          const result = kernels.batchNormGradientOfShards(gradient, x, normalisation, statistics, y, sums);
          sums.dispose();
          return result;
        },
      },
      holdsGradients: true,
      shards: this.share.shards,
      updateOfBatch: (path, gradient) => {
        // All shards compute the same.
        if (index === 0) sums.addWhole(path, gradient);
        else gradient.dispose();
      },
      moveRunning: ({ mean, variance }, move) => {
        if (index > 0) return;
        const kept = { mean: mean.clone(), variance: variance.clone() };
        running.push(() => {
          move(kept);
          kept.mean.dispose();
          kept.variance.dispose();
        });
      },
    };
  }

  /** All shards' numbers, once for each shard of this process. */
  private async gather(parts: readonly Tensor3D[]): Promise<Tensor3D[]> {
    const all = await this.communicator.gatherShards(parts);
    const handles = parts.map(() => this.engine.tf.clone(all));
    all.dispose();
    return handles;
  }

  private async meanLosses(parts: readonly Losses[]): Promise<Losses> {
    const { shards } = this.share;
    const mark = this.markOfWeights();
    const numbers = parts.flatMap(({ decode, auxiliary, accuracy }) => [decode, auxiliary, accuracy, mark]);
    const all = await this.communicator.gatherNumbers(numbers);
    // Processors with other instructions could round differently; the processes would slowly train networks of their own.
    if (all.some((value, i) => i % 4 === 3 && value !== mark)) {
      throw new UserError(
        'The processes of this run compute different bits: their weights are no longer the same.',
        'Use machines with the same processors, or set FCN_INSTRUCTIONS=avx2 for all.',
      );
    }
    const mean = (which: number): number => {
      const leaf = ({ begin, end }: { begin: number; end: number }) =>
        end - begin === 1 ? all[4 * begin + which] : undefined;
      return treeSum({ begin: 0, end: shards }, leaf, (left, right) => left + right) / shards;
    };
    return { decode: mean(0), auxiliary: mean(1), accuracy: mean(2) };
  }

  /** A number that tells the weights of the last batch norm from others: on it depends every step before. */
  private markOfWeights(): number {
    const { parameters, architecture } = this.segmentor;
    const { normPath } = architecture.stages.at(-1)!.at(-1)!.units.at(-1)!;
    const values = parameters.get(`${normPath}.weight`).dataSync<'float32'>();
    let mark = 0;
    for (const [i, bits] of new Int32Array(values.buffer, values.byteOffset, values.length).entries()) {
      mark = (mark * 31 + bits + i) % 2 ** 32;
    }
    return mark;
  }

  /** Owns the gradients. */
  private move(gradients: ReadonlyMap<string, Tensor>, { names }: Batch, iteration: number): void {
    const move = this.moveOf(iteration);
    const fail = (what: string) => this.failure(what, iteration, names);
    if (this.experiment.training.precision !== 'fp32') {
      this.moveIfFinite(gradients, move, fail);
      return;
    }
    const { kernels } = this.segmentor;
    // A value that is not finite always reaches the gradient of its layer's filter.
    for (const [path, gradient] of gradients) {
      if (gradient.rank === 4 && !kernels.allFinite([gradient])) throw fail(`The gradient of ${path}`);
    }
    for (const [path, gradient] of gradients) this.optimizer.update(path, gradient, move);
  }

  private failure(what: string, iteration: number, names: readonly string[]): NonFiniteError {
    return new NonFiniteError(what, iteration, this.moveOf(iteration).learningRate, names);
  }
}

/** The images of one shard, in the same memory. */
function shardOf({ count, height, width, images, labels, names }: Batch, index: number, size: number): Batch {
  if (count % size !== 0) throw new Error(`A batch of ${count} images has no whole shards of ${size}.`);
  const pixels = height * width;
  const [first, end] = [index * size, (index + 1) * size];
  return {
    count: size,
    height,
    width,
    images: images.subarray(first * pixels * 3, end * pixels * 3),
    labels: labels.subarray(first * pixels, end * pixels),
    names: names.slice(first, end),
  };
}
