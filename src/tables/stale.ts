import { DEFINITION } from './markdown.js';

/** The lines of a table in a file. */
interface WrittenTable {
  readonly title: string;
  readonly head: string;
  readonly rows: readonly string[];
  readonly notes: readonly string[];
}

interface WrittenBlock {
  readonly tables: readonly WrittenTable[];
  /** The target of each label. */
  readonly targets: ReadonlyMap<string, string>;
}

/** Sorts a block's lines by their form; other lines are left out. */
function readBlock(content: string): WrittenBlock {
  const tables: { title: string; head: string; rows: string[]; notes: string[] }[] = [];
  const targets = new Map<string, string>();
  for (const line of content.split('\n').map((raw) => raw.trim())) {
    const definition = DEFINITION.exec(line);
    if (definition !== null) targets.set(definition[1]!, definition[2]!);
    const table = tables.at(-1);
    if (/^###( |$)/.test(line)) tables.push({ title: shown(line.slice(3).trim()), head: '', rows: [], notes: [] });
    else if (table === undefined) continue;
    else if (/^-( |$)/.test(line)) table.notes.push(line.slice(1).trim());
    else if (!line.startsWith('|')) continue;
    else if (table.head === '') table.head = line;
    else if (!/^\|( --- \|)+$/.test(line)) table.rows.push(line);
  }
  return { tables, targets };
}

/** A link or an escaped character. Groups of a link: its text, its target or label with brackets. */
const LINK = /\[((?:\\.|[^\\[\]])*)\](\[[^\]]*\]|\([^)]*\))|\\./g;

/** A cell or line as a reader sees it. */
function shown(written: string): string {
  return written.replaceAll(LINK, (match, name?: string) => name ?? match).replaceAll(/\\([!-/:-@[-`{-~])/g, '$1');
}

/** A cell or line with link targets instead of labels. */
function resolved(written: string, targets: WrittenBlock['targets']): string {
  return written.replaceAll(LINK, (match, name?: string, to?: string) =>
    name === undefined ? match : `[${name}](${targets.get(to!.slice(1, -1)) ?? to!.slice(1, -1)})`,
  );
}

/** The cells of a line, split at bars without a backslash. */
function splitCells(line: string): string[] {
  return line
    .replace(/^\|/, '')
    .replace(/\|$/, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** The lines that `others` lacks, counting repeated lines. */
function missingFrom(others: readonly string[], lines: readonly string[]): string[] {
  const rest = [...others];
  return lines.filter((line) => {
    const at = rest.indexOf(line);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** The cells of a row that differ in what they show, or else in their link targets. */
function staleCells(found: string, expected: string, table: WrittenTable, blocks: Blocks): string[] {
  const there = splitCells(found);
  const wanted = splitCells(expected);
  const row = wanted.slice(0, 4).map(shown).join(' ');
  if (there.length !== wanted.length) {
    return [`${table.title}, ${row}: ${there.length} cells, but the records give ${wanted.length}`];
  }
  const heads = splitCells(table.head).map(shown);
  return wanted.flatMap((cell, x) => {
    const where = `${table.title}, ${row}, ${heads[x]}`;
    if (shown(there[x]!) !== shown(cell)) return [`${where}: ${shown(there[x]!)}, but the records give ${shown(cell)}`];
    const links = [resolved(there[x]!, blocks.found.targets), resolved(cell, blocks.expected.targets)];
    return links[0] === links[1] ? [] : [`${where}: ${links[0]}, but the records give ${links[1]}`];
  });
}

interface Blocks {
  readonly found: WrittenBlock;
  readonly expected: WrittenBlock;
}

function staleInTable(found: WrittenTable, expected: WrittenTable, blocks: Blocks): string[] {
  const { title, head, rows, notes } = expected;
  if (found.rows.length !== rows.length) {
    return [`${title}: ${found.rows.length} rows, but the records give ${rows.length}`];
  }
  return [
    ...(found.head === head ? [] : [`${title}: other columns`]),
    ...rows.flatMap((row, y) => staleCells(found.rows[y]!, row, expected, blocks)),
    ...missingFrom(found.notes, notes).map((note) => `${title}: the note "${shown(note)}" is missing`),
    ...missingFrom(notes, found.notes).map((note) => `${title}: the records do not give the note "${shown(note)}"`),
  ];
}

function staleTables(blocks: Blocks): string[] {
  const { found, expected } = blocks;
  const there = found.tables.map(({ title }) => title);
  const wanted = expected.tables.map(({ title }) => title);
  const missing = missingFrom(there, wanted).map((title) => `the table ${title} is missing`);
  const surplus = missingFrom(wanted, there).map((title) => `the records do not give the table ${title}`);
  if (missing.length + surplus.length > 0) return [...missing, ...surplus];
  if (there.join('\n') !== wanted.join('\n')) return [`the tables are not in the order ${wanted.join(', ')}`];
  return expected.tables.flatMap((table, i) => staleInTable(found.tables[i]!, table, blocks));
}

/**
 * Names what is stale in a block: cells by table, row and column, notes, missing tables; or else the first line that differs
 * (an unused link target, a line added by hand).
 * @param firstLine Number of the block's first line in its file.
 * @returns A line for each difference.
 */
export function staleInBlock(found: string, expected: string, firstLine: number): string[] {
  if (found === expected) return [];
  const named = staleTables({ found: readBlock(found), expected: readBlock(expected) });
  if (named.length > 0) return named;
  const there = found.split('\n');
  const wanted = expected.split('\n');
  const at = there.findIndex((line, i) => line !== wanted[i]);
  const i = at < 0 ? there.length : at;
  const quoted = (line: string | undefined) => (line === undefined ? 'nothing' : `"${line}"`);
  return [`line ${firstLine + i}: ${quoted(there[i])}, but the records give ${quoted(wanted[i])}`];
}
