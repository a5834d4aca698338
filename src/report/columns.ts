/** A cell of a line of columns; `rest`: it and all behind it in one, however wide the columns are. */
export type ColumnCell = string | { readonly rest: string };
export type ColumnLine = readonly ColumnCell[];

export interface ColumnLayout {
  /** Columns from the left that are words, to the left; the others are figures, to the right. */
  readonly words: number;
  /** Most characters of a line. */
  readonly width: number;
  /** Columns, by their heads, that may be left out to fit, the first of them first. */
  readonly spare: readonly string[];
}

export interface FittedColumns {
  readonly lines: string[];
  /** Heads of the columns that were left out. */
  readonly leftOut: readonly string[];
}

/** What is said below columns of which some were left out. */
export function leftOutNote(heads: readonly string[], width: number): string {
  return `Left out to fit ${width} columns: ${heads.join(', ')}. --wide has all columns.`;
}

const measured = (cell: ColumnCell | undefined) => (typeof cell === 'string' ? cell.length : 0);

function join(lines: readonly ColumnLine[], words: readonly boolean[], between: number): string[] {
  const widths = words.map((_, i) => Math.max(...lines.map((cells) => measured(cells[i]))));
  return lines.map((cells) =>
    cells
      .map((cell, i) => {
        if (typeof cell !== 'string') return cell.rest;
        return words[i] ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!);
      })
      .join(' '.repeat(between))
      .trimEnd(),
  );
}

/**
 * Lines of columns without bars, which would take 25 columns: two blanks apart; where that is too wide, one; then without
 * the spare columns. What does not fit even so is longer than the width.
 * @param lines The first holds the heads, all of them texts.
 */
export function fitColumns(lines: readonly ColumnLine[], { words, width, spare }: ColumnLayout): FittedColumns {
  const fits = (joined: readonly string[]) => joined.every((line) => line.length <= width);
  let shown = lines;
  let kinds = lines[0]!.map((_, i) => i < words);
  let joined = join(shown, kinds, 2);
  if (!fits(joined)) joined = join(shown, kinds, 1);
  const leftOut: string[] = [];
  for (const head of spare) {
    if (fits(joined)) break;
    const at = shown[0]!.findIndex((cell) => typeof cell === 'string' && cell.trim() === head);
    if (at < 0) continue;
    leftOut.push(head);
    shown = shown.map((cells) => cells.filter((_, i) => i !== at));
    kinds = kinds.filter((_, i) => i !== at);
    joined = join(shown, kinds, 1);
  }
  return { lines: joined, leftOut };
}
