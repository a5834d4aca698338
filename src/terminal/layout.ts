import { createRequire } from 'node:module';
import type CliTable from 'cli-table3';

/** Columns of a terminal of unknown width, and the longest line of text. */
export const TERMINAL_WIDTH = 80;

/** Longest line on standard output: the terminal's width; `TERMINAL_WIDTH` if it is not a terminal, or one without a size. */
export function outputWidth(): number {
  return process.stdout.columns || TERMINAL_WIDTH;
}

/** Longest line where a pipe gets lines of any length: the terminal's width; infinite if standard output is none. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? outputWidth() : Number.POSITIVE_INFINITY;
}

/**
 * Breaks a text so that no line is longer than `width`: between words, and anywhere in a word longer than a line, unless it is a path or
 * a link, which stays whole to be copied. Lines after the first are indented by two spaces.
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
    const room = width - 2;
    const count = /^\(?(\/\S|\w+:\/\/)/.test(word) ? 1 : Math.max(1, Math.ceil(word.length / room));
    const pieces = Array.from({ length: count }, (_, i) => (count === 1 ? word : word.slice(i * room, (i + 1) * room)));
    const indented = pieces.map((piece, i) => (lines.length + i === 0 ? piece : `  ${piece}`));
    lines.push(...indented.slice(0, -1));
    line = indented.at(-1)!;
  }
  return [...lines, line];
}

/**
 * Breaks a command for a POSIX shell between words, with backslashes at the ends of lines: it can still be pasted. A word longer than
 * a line stays whole.
 */
export function breakCommand(command: string, width: number = TERMINAL_WIDTH): string[] {
  // Text in single quotes belongs to its word; a flag and its value stay together.
  const words = command.match(/(?:--[\w-]+ (?=[^-]))?(?:\\.|[^\s'\\]|'[^']*')+/g) ?? [];
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && `${last} ${word} \\`.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(last === undefined ? word : `  ${word}`);
  }
  return lines.map((line, i) => (i < lines.length - 1 ? `${line} \\` : line));
}

/** A text in lines of at most `width` characters: the label before the first, as many blanks before the others. */
export function labelled(label: string, text: string, width: number): string[] {
  const indent = ' '.repeat(label.length);
  return wrap(text, width - label.length).map((line, i) => `${i === 0 ? label : indent}${line.trimStart()}`);
}

/** A path behind its label or, if that is longer than `width`, below it: whole, so that it can be copied. */
export function labelledPath(label: string, file: string, width: number): string[] {
  const line = `${label}${file}`;
  return line.length <= width ? [line] : [label.trimEnd(), `  ${file}`];
}

/**
 * Lines for standard output: in a terminal, longer ones are broken between words, and indented lines keep their indent.
 * @param label Stands before each line, the broken ones included.
 */
export function fitTerminal(
  text: string,
  { isTTY, columns }: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> = process.stdout,
  label = '',
): string {
  const lines = text.split('\n');
  if (!isTTY) return lines.map((line) => `${label}${line}`).join('\n');
  const width = columns || TERMINAL_WIDTH;
  return lines
    .flatMap((line) => {
      const words = line.trimStart();
      const broken = labelled(' '.repeat(line.length - words.length), words, width - label.length);
      return broken.map((part) => `${label}${part}`);
    })
    .join('\n');
}

/** A cell in a line of columns; `rest` fills the rest of the line, whatever the widths of the columns. */
type ColumnCell = string | { readonly rest: string };
export type ColumnLine = readonly ColumnCell[];

interface ColumnLayout {
  /** Number of columns from the left that hold words, aligned left; the others hold figures, aligned right. */
  readonly words: number;
  /** Longest line. */
  readonly width: number;
  /** Heads of the columns that may be left out to fit, in this order. */
  readonly spare: readonly string[];
}

interface FittedColumns {
  readonly lines: string[];
  /** Heads of the columns that were left out. */
  readonly leftOut: readonly string[];
}

/** The note below columns if some were left out. */
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
 * Lines of columns without borders: two spaces apart; if that is too wide, one; then without the spare columns. Lines may be longer
 * than the width if even that does not fit.
 * @param lines The first holds the heads.
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

/** Rows of cells below a head. */
export interface Lines {
  readonly head: readonly string[];
  readonly body: readonly (readonly string[])[];
}

/**
 * Widths of columns, without borders and padding, that fit a table into a width: the widest column shrinks first.
 * @returns Null if the table fits as it is.
 */
function fittingWidths({ head, body }: Lines, width: number): number[] | null {
  const widths = head.map((_, i) => Math.max(...[head, ...body].map((cells) => cells[i]!.length)));
  // Each column has a space on either side; borders are between the columns and at both ends.
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
 * A table with borders for a terminal, without colours.
 * @param width Columns of the terminal: longer cells are wrapped. Default: no limit.
 */
export function terminalTable({ head, body }: Lines, width?: number): string {
  const widths = width === undefined ? null : fittingWidths({ head, body }, width);
  // Every command imports this file: what only tables with borders need takes 40 ms of processor time.
  const Table = createRequire(import.meta.url)('cli-table3') as typeof CliTable;
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
  /** Lines of cells, in the order of the heads. */
  readonly lines: readonly (readonly string[])[];
}

interface EntryLayout {
  /** As in `ColumnLayout`, not counting the name. */
  readonly words?: number;
  readonly width: number;
  readonly spare?: readonly string[];
}

/**
 * A list without borders: each thing on one line if all fit, else its name on one line and its cells below. Only the latter leaves
 * out spare columns.
 * @param heads Head of the name, then of the columns.
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
  const nameAbove = entries.flatMap(({ name, lines }) => [
    ...wrap(name, width).map((rest) => [{ rest }]),
    ...lines.map((cells) => ['', ...cells]),
  ]);
  return fitColumns([['', ...cellHeads], ...nameAbove], { ...layout, spare });
}

const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** A point of a curve; x is from 0 to 1. */
export interface Sample {
  readonly x: number;
  readonly y: number;
}

/**
 * A curve as a line of block characters. Each column is an equal part of x and as high as the mean of its values; a space if it has
 * none.
 * @param range Values of the lowest and the highest block.
 */
export function sparkline(samples: readonly Sample[], columns: number, [low, high]: readonly [number, number]): string {
  const sums = Array.from({ length: columns }, () => ({ sum: 0, count: 0 }));
  for (const { x, y } of samples) {
    // A value belongs to the steps up to it; rounding must not move it to the next column.
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

/** A line of block characters, one per value; the range is that of the values. */
export function sparklineOf(values: readonly number[]): string {
  const samples = values.map((y, i) => ({ x: (i + 1) / values.length, y }));
  return sparkline(samples, values.length, [Math.min(...values), Math.max(...values)]);
}
