import { type Dataset, firstLabel, INVALID_LABEL, labelTable } from './dataset.js';
import type { LabelMap } from './image.js';
import type { Problem } from './problem.js';

/** What label maps hold, whatever the numbers of pixels. */
export interface HeldLabels {
  /** Training ids. */
  readonly ids: readonly number[];
  /** Raw values, before anything is mapped; none of maps that hold colours. */
  readonly values: readonly number[];
}

/** The different values of a label map, ascending. */
export function valuesOf({ data }: LabelMap): number[] {
  const occurs = new Uint8Array(256);
  // An iterator would take twenty times as long.
  for (let i = 0; i < data.length; i++) occurs[data[i]!] = 1;
  return Array.from(occurs.keys()).filter((value) => occurs[value] === 1);
}

/** What a label map of these raw values holds; of values that are no class, only that they are there. */
export function heldOf(values: readonly number[], dataset: Dataset): HeldLabels {
  const table = labelTable(dataset);
  return { ids: values.map((value) => table[value]!).filter((id) => id !== INVALID_LABEL), values };
}

/** What the labels of a split hold together, as they are read one after the other. */
export class LabelInventory {
  private readonly ids = new Set<number>();
  private readonly values = new Set<number>();
  private read = 0;
  private unread = 0;

  constructor(private readonly dataset: Dataset) {}

  /** @param held Null: the label cannot be read. */
  add(held: HeldLabels | null): void {
    if (held === null) {
      this.unread++;
      return;
    }
    const { ids, values } = held;
    this.read++;
    for (const id of ids) this.ids.add(id);
    for (const value of values) this.values.add(value);
  }

  /** Ids of the classes that have not occurred. */
  absent(): number[] {
    return [...this.dataset.classes.keys()].filter((id) => !this.ids.has(id));
  }

  /** What is remarkable about what all labels of a split hold: classes that no label holds, and what may be why. */
  warnings(split: string, folder: string): Problem[] {
    const absent = this.absent();
    const of = (text: string): Problem => ({ file: folder, split, kind: 'absent class', message: text });
    if (this.read > 0 && absent.length === 0) return this.adviceOnOneClass(split).map(of);
    if (this.read === 0) return [];
    const some = this.unread === 0 ? '' : ' that can be read';
    const message = `${occurNowhere(absent.map((id) => this.dataset.classes[id]!))} of ${split}${some}.`;
    return [message, ...this.advice(split, absent)].map(of);
  }

  /** Whether labels hold no value but 0 and 255, as masks do, and what 255 stands for is not said. */
  private isMask(): boolean {
    const only = [...this.values].every((value) => value === 0 || value === 255);
    return only && this.values.has(255) && this.dataset.labels?.[255] === undefined;
  }

  private adviceOnOneClass(split: string): string[] {
    const { classes, ignoreIndex } = this.dataset;
    if (classes.length !== 1 || ignoreIndex !== 255 || !this.isMask()) return [];
    const name = classes[0]!;
    return [
      `The labels of ${split} hold only 0 and 255: 0 is ${name}, the only class, and 255 is ignored, so that every answer is right. ` +
        `If 255 stands for ${name}, describe two classes, background and ${name}, and write "labels: { 255: 1 }".`,
    ];
  }

  private advice(split: string, absent: readonly number[]): string[] {
    const { classes, ignoreIndex, reduceZeroLabel } = this.dataset;
    const first = firstLabel(this.dataset);
    if (this.isMask()) {
      const held = this.values.has(0) ? '0 and 255' : '255';
      const meaning = ignoreIndex === 255 ? 'is ignored' : 'is no class';
      const id = absent.at(-1)!;
      return [
        `The labels of ${split} hold only ${held}, and 255 ${meaning}: if it stands for ${classes[id]}, write ` +
          `"labels: { 255: ${first + id} }" in the description of the data set.`,
      ];
    }
    const isLast = absent.length === 1 && absent[0] === classes.length - 1;
    if (reduceZeroLabel && isLast && this.values.has(0)) {
      return [
        `The labels of ${split} hold 0, which reduceZeroLabel ignores, and no ${classes.length}: if 0 stands for ${classes[0]}, ` +
          'write "reduceZeroLabel: false" in the description of the data set.',
      ];
    }
    return [];
  }
}

/** Classes that are named. */
const MOST_NAMES = 3;

/** "coin occurs in no label", "a, b, c and 4 more classes occur in no label". */
export function occurNowhere(classes: readonly string[]): string {
  if (classes.length === 1) return `${classes[0]} occurs in no label`;
  const more = classes.length - MOST_NAMES;
  const names =
    more > 0
      ? `${classes.slice(0, MOST_NAMES).join(', ')} and ${more} more class${more === 1 ? '' : 'es'}`
      : `${classes.slice(0, -1).join(', ')} and ${classes.at(-1)}`;
  return `${names} occur in no label`;
}

/** How many of a data set's classes do not occur: "1 of the 4 classes does not occur". */
export function countAbsent(absent: number, classes: number): string {
  if (classes === 1) return 'the only class does not occur';
  if (absent === classes) return `none of the ${classes} classes occurs`;
  return `${absent} of the ${classes} classes ${absent === 1 ? 'does' : 'do'} not occur`;
}
