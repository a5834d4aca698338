import type { LabelMap } from '../../../data/image.js';
import { LABEL_NAMES } from '../../prepare/cityscapes-labels.js';
import type { Point } from '../../prepare/polygon.js';

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
