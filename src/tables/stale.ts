import { DEFINITION } from './markdown.js';

/** A table as it stands in a file, by its lines. */
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

/** Takes a block's lines for what they look like; a line that looks like nothing known is left out. */
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

/** A link or an escaped character. A link's name is the first group; what says where it leads is the second. */
const LINK = /\[((?:\\.|[^\\[\]])*)\](\[[^\]]*\]|\([^)]*\))|\\./g;

/** What a reader sees of a cell or line. */
function shown(written: string): string {
  const words = written.replaceAll(LINK, (match, name?: string) => name ?? match);
  return words.replaceAll(/\\([!-/:-@[-`{-~])/g, '$1');
}

/** A cell or line with the targets of its links in the place of their labels. */
function resolved(written: string, targets: WrittenBlock['targets']): string {
  return written.replaceAll(LINK, (match, name?: string, to?: string) =>
    name === undefined ? match : `[${name}](${targets.get(to!.slice(1, -1)) ?? to!.slice(1, -1)})`,
  );
}

/** The cells of a line, split at the bars that no backslash stands before. */
function cellsOf(line: string): string[] {
  return line
    .replace(/^\|/, '')
    .replace(/\|$/, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** Those of some titles that others lack, each as often as it is lacking. */
function lacking(titles: readonly string[], others: readonly string[]): string[] {
  const rest = [...others];
  return titles.filter((title) => {
    const at = rest.indexOf(title);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** The cells of a row that differ: in what they show, else in where their links lead. */
function staleCells(found: string, expected: string, table: WrittenTable, blocks: Blocks): string[] {
  const there = cellsOf(found);
  const wanted = cellsOf(expected);
  const row = wanted.slice(0, 4).map(shown).join(' ');
  if (there.length !== wanted.length) {
    return [`${table.title}, ${row}: ${there.length} cells, and the records give ${wanted.length}`];
  }
  const heads = cellsOf(table.head).map(shown);
  return wanted.flatMap((cell, x) => {
    const where = `${table.title}, ${row}, ${heads[x]}`;
    if (shown(there[x]!) !== shown(cell)) return [`${where}: ${shown(there[x]!)}, and the records give ${shown(cell)}`];
    const links = [resolved(there[x]!, blocks.found.targets), resolved(cell, blocks.expected.targets)];
    return links[0] === links[1] ? [] : [`${where}: ${links[0]}, and the records give ${links[1]}`];
  });
}

interface Blocks {
  readonly found: WrittenBlock;
  readonly expected: WrittenBlock;
}

function staleInTable(found: WrittenTable, expected: WrittenTable, blocks: Blocks): string[] {
  const { title, head, rows, notes } = expected;
  if (found.rows.length !== rows.length) {
    return [`${title}: ${found.rows.length} rows, and the records give ${rows.length}`];
  }
  return [
    ...(found.head === head ? [] : [`${title}: other columns`]),
    ...rows.flatMap((row, y) => staleCells(found.rows[y]!, row, expected, blocks)),
    ...lacking(notes, found.notes).map((note) => `${title}: the note "${shown(note)}" is not there`),
    ...lacking(found.notes, notes).map((note) => `${title}: the note "${shown(note)}" is none that the records give`),
  ];
}

function staleTables(blocks: Blocks): string[] {
  const { found, expected } = blocks;
  const there = found.tables.map(({ title }) => title);
  const wanted = expected.tables.map(({ title }) => title);
  const missing = lacking(wanted, there).map((title) => `the table ${title} is missing`);
  const surplus = lacking(there, wanted).map((title) => `the table ${title} is none that the records give`);
  if (missing.length + surplus.length > 0) return [...missing, ...surplus];
  if (there.join('\n') !== wanted.join('\n')) return [`the tables are in another order than ${wanted.join(', ')}`];
  return expected.tables.flatMap((table, i) => staleInTable(found.tables[i]!, table, blocks));
}

/**
 * Compares the lines of a block with those that belong there, and names what is stale: the table, row and column of a cell, a
 * note, a missing table; where it is none of these (the target of a link that no cell has, a line by hand), the first line that differs.
 * @param firstLine Number of the block's first line in its file.
 * @returns A line for each; empty where the two are the same.
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
  return [`line ${firstLine + i}: ${quoted(there[i])}, and the records give ${quoted(wanted[i])}`];
}
