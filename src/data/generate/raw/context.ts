import type { LabelMap } from '../../image.js';
import { KEPT, SOURCE_CLASSES } from '../../prepare/context-labels.js';
import type { GenerateTask } from '../plan.js';
import { labelMatrix, writeMatlab } from './matlab.js';
import { packRuns, runLengths } from './run-length.js';

/** Some of the 400 classes that count as background, and nothing at all. */
const OTHERS = [0, 1, 3, 457, SOURCE_CLASSES];

/** Side of the squares in which background is of one of them. */
const SQUARE = 16;

/** Class ids 0 to 59 as a label map of the 459 classes, in which background is of several of the others. */
export function contextMapOf({ height, width, data }: LabelMap, index: number): Buffer {
  const source = Uint16Array.from(data, (id, at) => {
    if (id !== 0) return KEPT[id]!;
    const square = Math.floor(at / width / SQUARE) + Math.floor((at % width) / SQUARE);
    return OTHERS[(index + square) % OTHERS.length]!;
  });
  return writeMatlab({ LabelMap: labelMatrix({ height, width, data: source }, 'uint16') }, { compressed: true });
}

/** What the merged JSON file says of one image. */
export interface ContextEntries {
  readonly image: object;
  readonly regions: readonly object[];
}

/** An image and the masks of its classes, one each; background has none. */
export function contextRegionsOf(map: LabelMap, { name, split }: GenerateTask): ContextEntries {
  const { height, width, data } = map;
  const id = Number(name.replace('_', ''));
  const present = [...new Set(data)].filter((label) => label !== 0).sort((a, b) => a - b);
  const regions = present.map((label) => {
    const mask = data.map((value) => (value === label ? 1 : 0));
    const counts = packRuns(runLengths({ height, width, data: mask }));
    const area = mask.reduce((sum, one) => sum + one, 0);
    return { image_id: id, category_id: KEPT[label]!, area, segmentation: { size: [height, width], counts } };
  });
  return { image: { image_id: id, file_name: `${name}.jpg`, height, width, phase: split }, regions };
}
