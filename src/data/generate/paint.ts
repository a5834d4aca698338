import { Draws, Purpose } from '../../support/random.js';
import type { Dataset } from '../datasets/dataset.js';
import type { Size } from '../image.js';
import { paintClassScene } from './class-scene.js';
import { Dice } from './dice.js';
import type { Imitation } from './imitations.js';
import { toTrainingIds } from './labels.js';
import type { NoiseTiles } from './noise.js';
import { ignoreOutlines } from './outline.js';
import { paintScene } from './scene.js';

/** A synthetic image and what its label file holds. */
export interface Painting {
  readonly size: Size;
  /** [height, width, 3] */
  readonly rgb: Uint8ClampedArray;
  /** [height, width], raw values as the data set's label files have them. */
  readonly labels: Uint8Array;
  /** [height, width], Cityscapes' label ids, of which the labels are made; null in other data sets. */
  readonly labelIds: Uint8Array | null;
}

/** No side is shorter than this, however the sizes differ. */
const SHORTEST_SIDE = 32;

/** A size at most as large as the given one: half of them turned by a quarter, one side shortened by up to a third. */
function drawSize({ height, width }: Size, dice: Dice): Size {
  const [first, second] = dice.chance(0.5) ? [height, width] : [width, height];
  const shorten = (side: number) => Math.max(SHORTEST_SIDE, Math.round(side * dice.between(0.67, 1)));
  return dice.chance(0.5) ? { height: first, width: shorten(second) } : { height: shorten(first), width: second };
}

/** Paints image number `index` of a seed: the same every time. */
export function paint(
  imitation: Imitation,
  dataset: Dataset,
  size: Size,
  seed: number,
  index: number,
  tiles: NoiseTiles,
): Painting {
  if (imitation.scenes === 'streets') {
    const { rgb, ids } = paintScene(size, seed, index, tiles);
    if (imitation.id === 'camvid') return { size, rgb, labels: toTrainingIds(ids, 'camvid'), labelIds: null };
    return { size, rgb, labels: toTrainingIds(ids), labelIds: ids };
  }
  // Iteration 0 is the noise tiles'.
  const dice = new Dice(new Draws(seed, Purpose.generate, index + 1));
  const own = imitation.sizesDiffer ? drawSize(size, dice) : size;
  // Where raw label 0 is no class, class k is label k + 1; elsewhere label 0 is the background.
  const names = dataset.reduceZeroLabel ? ['', ...dataset.classes] : dataset.classes;
  const { rgb, ids } = paintClassScene(own, names, index, tiles, dice, imitation.background);
  // One pixel in a hundred of the height, as five of 500 are in VOC.
  const labels = imitation.outlines ? ignoreOutlines(ids, own, Math.max(1, Math.round(own.height / 100))) : ids;
  return { size: own, rgb, labels, labelIds: null };
}
