import { breakCommand, TERMINAL_WIDTH } from '../terminal/layout.js';

/** Commands that consist of two words. */
const TOPICS: ReadonlySet<string | undefined> = new Set(['datasets', 'engines', 'results', 'runs', 'weights']);

/** A line that is a command as a whole, to be pasted, and no sentence that begins with one. */
const COMMAND = /^(fcn|cp|mkdir|node|npm|pip|python3?) \S(.*[^.!?])?$/;

const FLAG = /^--?[a-z]/;

/** What can only be an argument: an override, a path, text in quotes, a word in capitals that the user replaces. */
const ARGUMENT = /^(\S+=|[./~'"]|\S*\/|[A-Z]{2,}\b|N\b)/;

/** The words of a line; those of a command in it, and a flag with its value, are one. */
function unitsOf(line: string): string[] {
  const units: string[] = [];
  let inCommand = false;
  let owed = 0;
  let inQuotes = false;
  for (const word of line.split(' ')) {
    const before = units.at(-1);
    const afterFlag = before !== undefined && FLAG.test(before.split(' ').at(-1)!) && !before.includes('=');
    const ended = before === undefined || (!inQuotes && /[.,;:)]$/.test(before));
    const belongs =
      inQuotes ||
      (!ended &&
        ((inCommand && (owed > 0 || FLAG.test(word) || ARGUMENT.test(word))) || (afterFlag && ARGUMENT.test(word))));
    if (belongs) units[units.length - 1] = `${before} ${word}`;
    else {
      units.push(word);
      inCommand = /^["'(]?fcn$/.test(word);
      owed = 0;
    }
    if (owed > 0) owed--;
    if (inCommand && !belongs) owed = 1;
    else if (inCommand && TOPICS.has(word) && /fcn \w+$/.test(units.at(-1)!)) owed = 1;
    if ((belongs || inCommand) && (word.match(/'/g) ?? []).length % 2 === 1) inQuotes = !inQuotes;
  }
  return units;
}

/** Lines of at most `width` characters, further ones indented; a unit that is longer has a line of its own. */
function fill(units: readonly string[], indent: string, width: number): string[] {
  const lines: string[] = [];
  for (const unit of units) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + unit.length <= width) lines[lines.length - 1] = `${last} ${unit}`;
    else lines.push(`${lines.length === 0 ? '' : indent}${unit}`);
  }
  return lines;
}

/**
 * Lines for standard error. In a terminal, prose is broken between words; commands in it, links and paths are not, so that they can be
 * pasted, and a command by itself is broken as a shell takes it, with backslashes. Elsewhere each fact stays on its line, for `grep`.
 */
export function fitStandardError(
  text: string,
  { isTTY, columns }: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> = process.stderr,
): string {
  if (!isTTY) return text;
  const width = columns || TERMINAL_WIDTH;
  return text
    .split('\n')
    .flatMap((line) => {
      const [, label = '', rest = ''] = /^((?: *(?:error|next|or): )|\s*)(.*)$/s.exec(line)!;
      // A stack.
      if (line.length <= width || /^\s+at /.test(line)) return [line];
      const indent = ' '.repeat(label.trim() === '' ? label.length + 2 : label.length);
      if (COMMAND.test(rest) && !/[.;] /.test(rest)) {
        const lines = breakCommand(rest, width - label.length);
        return lines.map((part, i) => `${i === 0 ? label : indent}${part}`);
      }
      const [first = '', ...others] = unitsOf(rest);
      return fill([`${label}${first}`, ...others], indent, width);
    })
    .join('\n');
}
