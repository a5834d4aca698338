import { formatNumber } from '../support/format.js';
import { breakCommand, wrap } from '../terminal/layout.js';
import { type CheckedRun, type GroupedCheck, groupChecks, nameRows } from './checks.js';
import type { RunCheck } from './run-check.js';

const MARKS: Readonly<Record<RunCheck['state'], string>> = { ok: '✓', missing: '✗', warning: '!' };

/** Columns before the text of a check: mark, name, spaces. */
const INDENT = 12;

/**
 * The checks of runs, each distinct one once, in lines of at most `width` characters, with the commands that fix what is missing.
 * Commands are broken with backslashes, so that they can be pasted.
 */
export function formatChecks(checked: readonly Pick<CheckedRun, 'run' | 'checks'>[], width: number): string {
  const groups = groupChecks(checked);
  const count = new Set(checked.map(({ run }) => run.experiment.row)).size;
  const missing = groups.filter(({ state }) => state === 'missing').length;
  const [all, some] = checked.length === 1 ? ['the run', 'the run'] : ['all runs', 'some runs'];
  const verdict =
    missing === 0
      ? `Nothing is missing: ${all} would start.`
      : `${formatNumber(missing, 'problem')}: ${some} would not start.`;
  return [...summarise(groups).flatMap((group) => checkLines(group, count, width)), '', verdict].join('\n');
}

/** Checks of one name that all passed, in different words for different rows, become one. */
function summarise(groups: readonly GroupedCheck[]): GroupedCheck[] {
  const seen = new Set<RunCheck['name']>();
  return groups.flatMap((group) => {
    const alike = groups.filter(({ name, state }) => name === group.name && state === 'ok');
    if (group.state !== 'ok' || alike.length === 1) return [group];
    if (seen.has(group.name)) return [];
    seen.add(group.name);
    const rows = [...new Set(alike.flatMap((one) => one.rows))];
    return [{ ...group, rows, text: `fine for ${formatNumber(rows.length, 'row')}` }];
  });
}

function checkLines({ name, state, text, next, rows }: GroupedCheck, count: number, width: number): string[] {
  const room = width - INDENT;
  const about = rows.length < count && state !== 'ok' ? wrap(`Rows: ${nameRows(rows)}`, room) : [];
  const commands = (next ?? '').split('\n').filter((command) => command !== '');
  const lines = [...textLines(text, room), ...about, ...commands.flatMap((command) => breakCommand(command, room))];
  const head = `${MARKS[state]} ${name.padEnd(INDENT - 2)}`;
  return lines.map((line, i) => {
    if (i === 0) return `${head}${line}`;
    // A long link or path has the whole width.
    return `${' '.repeat(line.length > room ? 2 : INDENT)}${line}`;
  });
}

/** Lines of a text; a word that is longer than a line, such as a link, stays whole so that it can be copied. */
function textLines(text: string, room: number): string[] {
  const [before = '', word, after = ''] = splitAtLongWord(text, room);
  const lines = before === '' ? [] : wrap(before, room).map((line) => line.trimStart());
  return word === undefined ? lines : [...lines, word, ...textLines(after, room)];
}

function splitAtLongWord(text: string, room: number): string[] {
  const words = text.split(' ');
  const at = words.findIndex((word, i) => i > 0 && word.length > room);
  return at < 0 ? [text] : [words.slice(0, at).join(' '), words[at]!, words.slice(at + 1).join(' ')];
}
