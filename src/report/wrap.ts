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
