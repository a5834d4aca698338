import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Precision } from '../experiments/experiment.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Pause } from '../support/pauses.js';
import type { Parameters } from './parameters.js';
import type { Tape } from './tape.js';

/** What the modules share in one training step. */
export interface TrainingPass {
  readonly tf: typeof tfjs;
  readonly kernels: Kernels;
  readonly tape: Tape;
  readonly parameters: Parameters;
  /** What images and their gradients are stored in. */
  readonly precision: Precision;
  /** What the losses' gradients are multiplied with, so that small ones do not vanish in 16 bits. */
  readonly lossScale: number;
  /** Takes a parameter's complete gradient, and ownership of it: the optimizer moves the parameter at once. */
  update(path: string, gradient: Tensor): void;
  /**
   * Channel factors of a dropout, [count, 1, 1, channels] in row-major order: 0 with probability `rate`,
   * 1/(1 − rate) otherwise. `place` tells the network's dropouts apart.
   */
  dropoutFactors(place: number, count: number, channels: number, rate: number): Float32Array;
  /** Awaited between modules. */
  readonly pause: Pause;
}
