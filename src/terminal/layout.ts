import Table from 'cli-table3';

/** Columns of a terminal that says nothing else, and the most that lines of text take. */
export const TERMINAL_WIDTH = 80;

/** Most characters of a line on standard output: those of the terminal, where it has fewer than `TERMINAL_WIDTH`. */
export function outputWidth(): number {
  // A terminal without a size says 0.
  return Math.min(process.stdout.columns || TERMINAL_WIDTH, TERMINAL_WIDTH);
}

/** A word in pieces that are no longer than a line. */
function pieces(word: string, width: number): string[] {
  return Array.from({ length: Math.ceil(word.length / width) }, (_, i) => word.slice(i * width, (i + 1) * width));
}

/**
 * Breaks a text between words so that no line is longer than the terminal; a word that is longer than a line, anywhere. Lines
 * after the first begin with two blanks.
 */
export function wrap(text: string, width: number = TERMINAL_WIDTH): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    const indented = pieces(word, width - 2).map((piece, i) => (lines.length + i === 0 ? piece : `  ${piece}`));
    lines.push(...indented.slice(0, -1));
    line = indented.at(-1)!;
  }
  return [...lines, line];
}

/** A cell of a line of columns; `rest`: it and all behind it in one, however wide the columns are. */
type ColumnCell = string | { readonly rest: string };
export type ColumnLine = readonly ColumnCell[];

interface ColumnLayout {
  /** Columns from the left that are words, to the left; the others are figures, to the right. */
  readonly words: number;
  /** Most characters of a line. */
  readonly width: number;
  /** Columns, by their heads, that may be left out to fit, the first of them first. */
  readonly spare: readonly string[];
}

interface FittedColumns {
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

/** Rows of cells under a heading, as every layout takes them. */
export interface Lines {
  readonly head: readonly string[];
  readonly body: readonly (readonly string[])[];
}

/**
 * Widths of columns, without borders and padding, that fit a table into a width: the widest give way first.
 * @returns Null where all fit as they are.
 */
function fittingWidths({ head, body }: Lines, width: number): number[] | null {
  const widths = head.map((_, i) => Math.max(...[head, ...body].map((cells) => cells[i]!.length)));
  // A blank on either side of each, borders between them and at the ends.
  const room = width - 3 * widths.length - 1;
  const narrowed = [...widths];
  for (let over = widths.reduce((sum, one) => sum + one, 0) - room; over > 0; over--) {
    const widest = narrowed.indexOf(Math.max(...narrowed));
    if (narrowed[widest]! <= 1) break;
    narrowed[widest]!--;
  }
  return narrowed.some((one, i) => one < widths[i]!) ? narrowed : null;
}

/**
 * A table with borders for a terminal. Without colours: they would add nothing.
 * @param width Columns of the terminal, in which longer cells go on in the next line; as wide as it gets if not given.
 */
export function terminalTable({ head, body }: Lines, width?: number): string {
  const widths = width === undefined ? null : fittingWidths({ head, body }, width);
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    ...(widths && { colWidths: widths.map((one) => one + 2), wordWrap: true, wrapOnWordBoundary: false }),
  });
  table.push(...body.map((cells) => [...cells]));
  return table.toString();
}

/** A named thing in a list. */
export interface Entry {
  readonly name: string;
  /** What is said of it: cells, in the order of the heads. */
  readonly lines: readonly (readonly string[])[];
}

interface EntryLayout {
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

const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** A place of a curve: x from 0 to 1, and its value. */
export interface Sample {
  readonly x: number;
  readonly y: number;
}

/**
 * A curve as a line of blocks, a column an equal part of x from 0 to 1, each as high as the mean of its values; a blank where
 * there are none.
 * @param range Values of the lowest and the highest block.
 */
export function sparkline(samples: readonly Sample[], columns: number, [low, high]: readonly [number, number]): string {
  const sums = Array.from({ length: columns }, () => ({ sum: 0, count: 0 }));
  for (const { x, y } of samples) {
    // A value stands for the steps up to it; rounding must not move it on by one.
    const cell = sums[Math.min(Math.max(Math.ceil(x * columns - 1e-9) - 1, 0), columns - 1)]!;
    cell.sum += y;
    cell.count++;
  }
  return sums
    .map(({ sum, count }) => {
      if (count === 0) return ' ';
      const part = high === low ? 0.5 : (sum / count - low) / (high - low);
      return LEVELS[Math.min(Math.max(Math.floor(part * LEVELS.length), 0), LEVELS.length - 1)];
    })
    .join('');
}

/** A line of blocks, one a value, from the lowest to the highest of them. */
export function sparklineOf(values: readonly number[]): string {
  const samples = values.map((y, i) => ({ x: (i + 1) / values.length, y }));
  return sparkline(samples, values.length, [Math.min(...values), Math.max(...values)]);
}
