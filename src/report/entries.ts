import { type FittedColumns, fitColumns } from './columns.js';
import { wrap } from './wrap.js';

/** A named thing in a list. */
export interface Entry {
  readonly name: string;
  /** What is said of it: cells, in the order of the heads. */
  readonly lines: readonly (readonly string[])[];
}

export interface EntryLayout {
  /** Columns from the left, after the name, that are words; the others are figures. */
  readonly words?: number;
  /** Most characters of a line. */
  readonly width: number;
  /** Columns, by their heads, that may be left out to fit, the first of them first. */
  readonly spare?: readonly string[];
}

/**
 * A list without bars: each thing on one line where all fit, else its name on one and what is said of it below. Only there spare
 * columns are left out.
 * @param heads Of the name, then of the columns.
 */
export function entryLines(
  heads: readonly string[],
  entries: readonly Entry[],
  { words = 0, width, spare = [] }: EntryLayout,
): FittedColumns {
  const [nameHead = '', ...cellHeads] = heads;
  const layout = { words: words + 1, width };
  if (entries.every(({ lines }) => lines.length === 1)) {
    const joined = entries.flatMap(({ name, lines }) => lines.map((cells) => [name, ...cells]));
    const fitted = fitColumns([[nameHead, ...cellHeads], ...joined], { ...layout, spare: [] });
    if (fitted.lines.every((line) => line.length <= width)) return fitted;
  }
  const apart = entries.flatMap(({ name, lines }) => [
    ...wrap(name, width).map((rest) => [{ rest }]),
    ...lines.map((cells) => ['', ...cells]),
  ]);
  return fitColumns([['', ...cellHeads], ...apart], { ...layout, spare });
}
