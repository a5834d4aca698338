import { Draws, Purpose } from '../../support/random.js';

/**
 * The endless order of training: epoch after epoch, each a permutation of its own, of which the last incomplete batch is
 * dropped. Any iteration can be asked for.
 */
export class TrainingOrder {
  private epoch = -1;
  private permutation: Uint32Array = new Uint32Array(0);

  constructor(
    private readonly seed: number,
    private readonly images: number,
    private readonly batch: number,
  ) {
    if (batch < 1 || images < batch) throw new RangeError(`A batch of ${batch} cannot be drawn from ${images} images.`);
  }

  /** Numbers of the images in the batch of an iteration. */
  at(iteration: number): Uint32Array {
    const batches = Math.floor(this.images / this.batch);
    const epoch = Math.floor(iteration / batches);
    if (epoch !== this.epoch) {
      this.permutation = new Draws(this.seed, Purpose.shuffle, epoch).permutation(this.images);
      this.epoch = epoch;
    }
    const start = (iteration % batches) * this.batch;
    return this.permutation.slice(start, start + this.batch);
  }
}
