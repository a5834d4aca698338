import { formatNumber, listNames } from '../support/format.js';
import { type Dataset, firstLabel, INVALID_LABEL, labelTable } from './dataset.js';
import type { LabelMap } from './image.js';
import type { Problem } from './problem.js';

/** The values that occur in label maps. */
export interface LabelContents {
  /** Training ids. */
  readonly ids: readonly number[];
  /** Raw values, before anything is mapped; empty for maps of colours. */
  readonly values: readonly number[];
}

/** The distinct values of a label map, ascending. */
export function distinctLabels({ data }: LabelMap): number[] {
  const occurs = new Uint8Array(256);
  // An iterator would take twenty times as long.
  for (let i = 0; i < data.length; i++) occurs[data[i]!] = 1;
  return Array.from(occurs.keys()).filter((value) => occurs[value] === 1);
}

/** The contents of a label map with these raw values. Values that are no class have no id. */
export function labelContents(values: readonly number[], dataset: Dataset): LabelContents {
  const table = labelTable(dataset);
  return { ids: values.map((value) => table[value]!).filter((id) => id !== INVALID_LABEL), values };
}

/** Collects what the labels of a split contain. */
export class LabelInventory {
  private readonly ids = new Set<number>();
  private readonly values = new Set<number>();
  private read = 0;
  private unread = 0;

  constructor(private readonly dataset: Dataset) {}

  /** @param contents Null if the label cannot be read. */
  add(contents: LabelContents | null): void {
    if (contents === null) {
      this.unread++;
      return;
    }
    this.read++;
    for (const id of contents.ids) this.ids.add(id);
    for (const value of contents.values) this.values.add(value);
  }

  /** Ids of the classes that have not occurred. */
  absent(): number[] {
    return [...this.dataset.classes.keys()].filter((id) => !this.ids.has(id));
  }

  /** Warns of classes that occur in no label, and of likely mistakes in the description. */
  warnings(split: string, folder: string): Problem[] {
    if (this.read === 0) return [];
    const absent = this.absent();
    const messages =
      absent.length === 0
        ? this.adviceOnSingleClass(split)
        : [this.absence(split, absent), ...this.advice(split, absent)];
    return messages.map((message) => ({ file: folder, split, kind: 'absent class', message }));
  }

  private absence(split: string, absent: readonly number[]): string {
    const names = absent.map((id) => this.dataset.classes[id]!);
    return `${describeAbsentClasses(names)} of ${split}${this.unread === 0 ? '' : ' that can be read'}.`;
  }

  /** Whether the labels look like masks: the only values are 0 and 255, and the description does not map 255. */
  private isMask(): boolean {
    const only = [...this.values].every((value) => value === 0 || value === 255);
    return only && this.values.has(255) && this.dataset.labels?.[255] === undefined;
  }

  private adviceOnSingleClass(split: string): string[] {
    const { classes, ignoreIndex } = this.dataset;
    if (classes.length !== 1 || ignoreIndex !== 255 || !this.isMask()) return [];
    const name = classes[0]!;
    return [
      `The labels of ${split} hold only 0 and 255: 0 is ${name}, the only class, and 255 is ignored, so every prediction is right. ` +
        `If 255 stands for ${name}, describe two classes, background and ${name}, and write "labels: { 255: 1 }".`,
    ];
  }

  private advice(split: string, absent: readonly number[]): string[] {
    const { classes, ignoreIndex, reduceZeroLabel } = this.dataset;
    if (this.isMask()) {
      const held = this.values.has(0) ? '0 and 255' : '255';
      const meaning = ignoreIndex === 255 ? 'is ignored' : 'is no class';
      const id = absent.at(-1)!;
      return [
        `The labels of ${split} hold only ${held}, and 255 ${meaning}: if it stands for ${classes[id]}, write ` +
          `"labels: { 255: ${firstLabel(this.dataset) + id} }" in the description of the data set.`,
      ];
    }
    const isLast = absent.length === 1 && absent[0] === classes.length - 1;
    if (!reduceZeroLabel || !isLast || !this.values.has(0)) return [];
    return [
      `The labels of ${split} hold 0, which reduceZeroLabel ignores, and no ${classes.length}: if 0 stands for ${classes[0]}, ` +
        'write "reduceZeroLabel: false" in the description of the data set.',
    ];
  }
}

/** Most classes that a message names. */
const MOST_NAMES = 3;

/** "coin occurs in no label", "a, b, c and 4 more classes occur in no label". */
export function describeAbsentClasses(names: readonly string[]): string {
  const more = formatNumber(names.length - MOST_NAMES, 'more class', 'more classes');
  const listed = names.length > MOST_NAMES ? [...names.slice(0, MOST_NAMES), more] : names;
  return `${listNames(listed)} ${names.length === 1 ? 'occurs' : 'occur'} in no label`;
}

/** "1 of the 4 classes does not occur". */
export function countAbsentClasses(absent: number, classes: number): string {
  if (classes === 1) return 'the only class does not occur';
  if (absent === classes) return `none of the ${classes} classes occurs`;
  return `${absent} of the ${classes} classes ${absent === 1 ? 'does' : 'do'} not occur`;
}
