import type { LabelMap } from '../../image.js';

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
