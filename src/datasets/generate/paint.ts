import type { Dataset } from '../../data/dataset.js';
import { encodeJpeg } from '../../data/decode.js';
import type { Palette, Size } from '../../data/image.js';
import { encodePalettePng, encodePng } from '../../data/png-write.js';
import { Draws, Purpose } from '../../support/random.js';
import { Dice, ignoreOutlines, type NoiseTiles } from './canvas.js';
import { paintClassScene } from './class-scene.js';
import { type Imitation, toTrainingIds } from './imitations.js';
import type { Form, FormedFile, GenerateTask } from './plan.js';
import { contextMapOf, contextRegionsOf, polygonsOf, sbdFileOf } from './raw/labels.js';
import { paintScene } from './scene.js';

/** A synthetic image and its labels. */
interface Painting {
  readonly size: Size;
  /** [height, width, 3] */
  readonly rgb: Uint8ClampedArray;
  /** [height, width], raw values as in the data set's label files. */
  readonly labels: Uint8Array;
  /** [height, width], Cityscapes' label ids, from which the labels are made; null in other data sets. */
  readonly labelIds: Uint8Array | null;
}

/** In pixels, for images that differ in size. */
const SHORTEST_SIDE = 32;

/** A size up to the given one: half of them are turned by a quarter, and one side is shortened by up to a third. */
function drawSize({ height, width }: Size, dice: Dice): Size {
  const [first, second] = dice.chance(0.5) ? [height, width] : [width, height];
  const shorten = (side: number) => Math.max(SHORTEST_SIDE, Math.round(side * dice.between(0.67, 1)));
  return dice.chance(0.5) ? { height: first, width: shorten(second) } : { height: shorten(first), width: second };
}

/** Paints image number `index`: the same for the same seed. */
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
  // Iteration 0 is that of the noise tiles.
  const dice = new Dice(new Draws(seed, Purpose.generate, index + 1));
  const own = imitation.sizesDiffer ? drawSize(size, dice) : size;
  // If raw label 0 is not a class, class k is label k + 1; otherwise label 0 is the background.
  const names = dataset.reduceZeroLabel ? ['', ...dataset.classes] : dataset.classes;
  const { rgb, ids } = paintClassScene(own, names, index, tiles, dice, imitation.background);
  // One hundredth of the height: in VOC five of 500 pixels.
  const labels = imitation.outlines ? ignoreOutlines(ids, own, Math.max(1, Math.round(own.height / 100))) : ids;
  return { size: own, rgb, labels, labelIds: null };
}

/** Looks like the lossless image, at less than half its size. */
const JPEG_QUALITY = 92;

/** A painting, and what else its files need. */
interface Painted {
  readonly painting: Painting;
  readonly task: GenerateTask;
  readonly imitation: Imitation;
  readonly palette: Palette;
}

function encodeImage({ size, rgb }: Painting, file: string): Promise<Buffer> {
  return file.endsWith('.png')
    ? encodePng(rgb, size, { colourType: 'rgb', filter: 'sub', level: 1 })
    : encodeJpeg({ ...size, data: new Uint8Array(rgb.buffer) }, JPEG_QUALITY);
}

/** Cityscapes' label ids; only its paintings have them. */
function requireIds({ labelIds }: Painting, form: Form): Uint8Array {
  if (labelIds === null) throw new Error(`A painting without label ids cannot be written as ${form}.`);
  return labelIds;
}

/** The bytes of one file of a painting. */
export async function encode({ painting, task, imitation, palette }: Painted, formed: FormedFile): Promise<Uint8Array> {
  const { size, labels } = painting;
  const grey = (ids: Uint8Array) => encodePng(ids, size, { colourType: 'grey', filter: 'none', level: 1 });
  const map = { ...size, data: labels };
  switch (formed.form) {
    case 'image':
      return encodeImage(painting, formed.file);
    case 'labels':
      return imitation.labels === 'grey' ? grey(labels) : encodePalettePng(labels, size.width, size.height, palette);
    case 'cityscapes-label-ids':
      return grey(requireIds(painting, formed.form));
    case 'cityscapes-polygons':
      return Buffer.from(polygonsOf({ ...size, data: requireIds(painting, formed.form) }));
    case 'sbd-segmentation':
      return sbdFileOf(map, palette.length);
    case 'context-map':
      return contextMapOf(map, task.index);
    case 'context-regions':
      return Buffer.from(JSON.stringify(contextRegionsOf(map, task)));
  }
}
