import type { LabelMap } from '../../../data/image.js';
import { KEPT, LABEL_NAMES, SOURCE_CLASSES } from '../../prepare/labels.js';
import type { Point } from '../../prepare/polygon.js';
import type { GenerateTask } from '../plan.js';
import { labelMatrix, writeMatlab } from './matlab.js';

/** Pixels of one id side by side in a row: the first and the last column. */
interface Run {
  readonly id: number;
  readonly left: number;
  readonly right: number;
}

/** Runs of one id in rows below each other. */
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

/** Every pixel is in one stack: a run goes on with the first stack that ends in a run above it that it touches. */
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

/** Corners of one side from above to below, without those on a straight line between others. */
function side(columns: readonly number[], top: number): Point[] {
  return columns.flatMap((x, i): Point[] => {
    const [before, after] = [columns[i - 1], columns[i + 1]];
    const isStraight = before !== undefined && after !== undefined && x - before === after - x;
    return isStraight ? [] : [[x, top + i]];
  });
}

/**
 * An annotation of Cityscapes (`*_gtFine_polygons.json`) that draws exactly a map of label ids. Its polygons do not overlap. In
 * each of their rows, which they cross once on either side, corners are at whole pixels, so that nothing is rounded.
 */
export function polygonsOf(map: LabelMap): string {
  const objects = stacksOf(map).map(({ id, top, runs }) => {
    const left = side(
      runs.map((run) => run.left),
      top,
    );
    const right = side(
      runs.map((run) => run.right),
      top,
    );
    return { label: LABEL_NAMES[id]!, polygon: [...left, ...right.reverse()] };
  });
  return JSON.stringify({ imgHeight: map.height, imgWidth: map.width, objects });
}

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

/** Label of pixels along outlines, which are of no class. */
const VOID = 255;

/**
 * A label map as SBD publishes it: a struct GTcls of outlines (a cell a class, here without any), the label map, and the
 * classes that occur.
 * @param classes Classes with background, which is 0.
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

/** Lengths of runs of 0 and 1 in turn, beginning with 0, down the columns. */
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
      // It ends where what is left is only the sign of the group's highest bit.
      more = group & 0x10 ? value !== -1 : value !== 0;
      text += String.fromCharCode(48 + (more ? group | 0x20 : group));
    }
  }
  return text;
}
