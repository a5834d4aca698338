import type { LabelMap } from '../../../data/image.js';
import { LABEL_NAMES, SOURCE_CLASSES, SOURCE_IDS } from '../../prepare/labels.js';
import type { Corner } from '../../prepare/polygon.js';
import type { GenerateTask } from '../plan.js';
import { labelMatrix, writeMatlab } from './matlab-write.js';

/** Pixels of one id side by side in a row, from the first to the last column. */
interface Run {
  readonly id: number;
  readonly left: number;
  readonly right: number;
}

/** Runs of one id, one in each of several rows from `top` down. */
interface Stack {
  readonly id: number;
  readonly top: number;
  readonly runs: Run[];
}

function runsOf({ width, data }: LabelMap, y: number): Run[] {
  const runs: Run[] = [];
  for (let left = 0; left < width; ) {
    const id = data[y * width + left]!;
    let right = left;
    while (right + 1 < width && data[y * width + right + 1] === id) right++;
    runs.push({ id, left, right });
    left = right + 1;
  }
  return runs;
}

/** Every pixel is in one stack: a run continues the first stack that ends in a run above it that it touches. */
function stacksOf(map: LabelMap): Stack[] {
  const stacks: Stack[] = [];
  let open: Stack[] = [];
  for (let y = 0; y < map.height; y++) {
    const free = new Set(open);
    open = runsOf(map, y).map((run) => {
      for (const stack of free) {
        const above = stack.runs.at(-1)!;
        if (stack.id !== run.id || above.right < run.left || above.left > run.right) continue;
        free.delete(stack);
        stack.runs.push(run);
        return stack;
      }
      const stack = { id: run.id, top: y, runs: [run] };
      stacks.push(stack);
      return stack;
    });
  }
  return stacks;
}

/** Corners of one side from top to bottom, without those on a straight line between their neighbours. */
function cornersOf(columns: readonly number[], top: number): Corner[] {
  return columns.flatMap((x, i): Corner[] => {
    const [before, after] = [columns[i - 1], columns[i + 1]];
    const isStraight = before !== undefined && after !== undefined && x - before === after - x;
    return isStraight ? [] : [[x, top + i]];
  });
}

/**
 * An annotation of Cityscapes (`*_gtFine_polygons.json`) that draws a map of label ids exactly. Its polygons do not overlap. Each
 * has one left and one right edge in each of its rows, at whole pixels, so that nothing is rounded.
 */
export function polygonsOf(map: LabelMap): string {
  const objects = stacksOf(map).map(({ id, top, runs }) => {
    const lefts = runs.map(({ left }) => left);
    const rights = runs.map(({ right }) => right);
    return { label: LABEL_NAMES[id]!, polygon: [...cornersOf(lefts, top), ...cornersOf(rights, top).reverse()] };
  });
  return JSON.stringify({ imgHeight: map.height, imgWidth: map.width, objects });
}

/** Source ids that become background: nothing, and some of the 400 rarer classes. */
const BACKGROUND_IDS = [0, 1, 3, 457, SOURCE_CLASSES];

/** Side of the squares of background that have the same source id. */
const SQUARE = 16;

/** Class ids 0 to 59 as a label map of the 459 classes, in which background has several source ids. */
export function contextMapOf({ height, width, data }: LabelMap, index: number): Buffer {
  const source = Uint16Array.from(data, (id, at) => {
    if (id !== 0) return SOURCE_IDS[id]!;
    const square = Math.floor(at / width / SQUARE) + Math.floor((at % width) / SQUARE);
    return BACKGROUND_IDS[(index + square) % BACKGROUND_IDS.length]!;
  });
  return writeMatlab({ LabelMap: labelMatrix({ height, width, data: source }, 'uint16') }, { compressed: true });
}

/** The entries of one image in the merged JSON file. */
export interface ContextEntries {
  readonly image: object;
  readonly regions: readonly object[];
}

/** An image and a mask for each of its classes but background. */
export function contextRegionsOf(map: LabelMap, { name, split }: GenerateTask): ContextEntries {
  const { height, width, data } = map;
  const id = Number(name.replace('_', ''));
  const present = [...new Set(data)].filter((label) => label !== 0).sort((a, b) => a - b);
  const regions = present.map((label) => {
    const mask = data.map((value) => (value === label ? 1 : 0));
    const counts = packRuns(runLengths({ height, width, data: mask }));
    const area = mask.reduce((sum, one) => sum + one, 0);
    return { image_id: id, category_id: SOURCE_IDS[label]!, area, segmentation: { size: [height, width], counts } };
  });
  return { image: { image_id: id, file_name: `${name}.jpg`, height, width, phase: split }, regions };
}

/** Label of pixels along outlines, which have no class. */
const VOID = 255;

/**
 * A label map as SBD publishes it: a struct GTcls of outlines (a cell for each class, empty here), the label map, and the
 * classes that occur.
 * @param classes Number of classes, with background.
 */
export function sbdFileOf(map: LabelMap, classes: number): Buffer {
  const present = [...new Set(map.data)].filter((id) => id !== 0 && id !== VOID).sort((a, b) => a - b);
  const empty = { numbers: [], type: 'float64', dimensions: [0, 0] } as const;
  const outlines = Array.from({ length: classes - 1 }, () => empty);
  const root = {
    Boundaries: { cells: outlines, dimensions: [outlines.length, 1] },
    Segmentation: labelMatrix(map, 'uint8'),
    CategoriesPresent: { numbers: present, type: 'float64', dimensions: [present.length, 1] },
  } as const;
  return writeMatlab({ GTcls: { struct: root } }, { compressed: true, small: true });
}

/** Lengths of runs down the columns, of 0 and 1 in turn, beginning with 0. */
export function runLengths({ height, width, data }: LabelMap): number[] {
  const runs = [0];
  for (let x = 0, value = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (data[y * width + x] !== value) {
        runs.push(0);
        value = 1 - value;
      }
      runs[runs.length - 1]!++;
    }
  }
  return runs;
}

/** Run lengths packed into text, as the COCO family of annotations does. */
export function packRuns(runs: readonly number[]): string {
  let text = '';
  for (const [i, run] of runs.entries()) {
    let value = i > 2 ? run - runs[i - 2]! : run;
    for (let more = true; more; ) {
      const group = value & 0x1f;
      value >>= 5;
      // It ends when only the sign of the group's highest bit is left.
      more = group & 0x10 ? value !== -1 : value !== 0;
      text += String.fromCharCode(48 + (more ? group | 0x20 : group));
    }
  }
  return text;
}
