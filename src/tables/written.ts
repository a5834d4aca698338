import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { shellWords } from '../support/format.js';
import { linksFrom } from './cell.js';
import { DEFINITION, writeMarkdown } from './markdown.js';
import { formatReport, type TableFormat } from './report.js';
import {
  findBlocks,
  linesAround,
  markersHint,
  newDocument,
  PARTS,
  type Part,
  replaceBlocks,
  sectionsOf,
} from './sections.js';
import type { Report } from './table.js';

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
 * @returns A line for each; empty if the two are the same.
 */
function staleInBlock(found: string, expected: string, firstLine: number): string[] {
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

/** The documents of a repository that hold tables, and the parts that each must have. */
const DOCUMENT_PARTS: Readonly<Record<string, readonly Part[]>> = {
  'README.md': ['published'],
  [path.join('results', 'README.md')]: PARTS,
};
export const DOCUMENTS = Object.keys(DOCUMENT_PARTS);

const FORMATS: Readonly<Record<string, TableFormat>> = {
  '.md': 'markdown',
  '.csv': 'csv',
  '.json': 'json',
  '.html': 'html',
};

/** Whether a file is or would be a document of which only the blocks between markers are ours. */
function isDocument(file: string): boolean {
  if (FORMATS[path.extname(file).toLowerCase()] === 'markdown') return true;
  return existsSync(file) && findBlocks(read(file), file).length > 0;
}

/**
 * The format to write a file in: what was asked for, or else what its name's ending says.
 * @throws UserError if the name says none, or another format would replace the whole of a document.
 */
export function formatOfFile(file: string, asked?: TableFormat): TableFormat {
  const format = asked ?? FORMATS[path.extname(file).toLowerCase()];
  if (format === undefined) {
    throw new UserError(
      `${file}: its ending names no format; expected one of ${Object.keys(FORMATS).join(', ')}.`,
      'Give --format, or another name.',
    );
  }
  if (format !== 'markdown' && isDocument(file)) {
    throw new UserError(
      `${file} is a markdown document: as ${format}, the tables would replace all that stands in it.`,
      `Leave --format ${format} out, or write another file.`,
    );
  }
  return format;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

/** A part of a report as it stands in a file. */
function partFor(report: Report, file: string): (part: Part) => string {
  const linkTo = linksFrom(path.dirname(file));
  // Parts stand in one file, so each has labels of its own.
  return (part) => writeMarkdown(sectionsOf(report, part, linkTo), part === 'published' ? 'r' : part);
}

/**
 * Refuses to write where a label of ours has another target in the text around the blocks: the first one of a file counts.
 * @throws UserError that names file, line and label.
 */
function checkLabels(text: string, file: string, written: string): void {
  const ours = new Set(written.split('\n').flatMap((line) => DEFINITION.exec(line)?.[1]?.toLowerCase() ?? []));
  for (const { text: line, number } of linesAround(text, file)) {
    const label = DEFINITION.exec(line)?.[1]?.toLowerCase();
    if (label !== undefined && ours.has(label)) {
      throw new UserError(
        `${file}:${number}: the label [${label}] is one of those that the tables' links have.`,
        'Give the link another label.',
      );
    }
  }
}

/**
 * What a file should hold: of a markdown file only its blocks are replaced.
 * @throws UserError if a markdown file is there that has no blocks, or uses a label of ours for another link.
 */
async function expectedText(report: Report, file: string, format: TableFormat): Promise<string> {
  if (format !== 'markdown')
    return `${await formatReport(report, format, { folder: path.dirname(file), wide: true })}\n`;
  const content = partFor(report, file);
  if (!existsSync(file)) return newDocument(content);
  const text = read(file);
  const blocks = findBlocks(text, file);
  if (blocks.length === 0) throw new UserError(`${file} has no place for tables.`, markersHint());
  checkLabels(text, file, blocks.map(({ part }) => content(part)).join('\n'));
  return replaceBlocks(text, file, content);
}

/**
 * Writes a report into a file: between its markers if it is markdown and there already.
 * @param asked The format, where the file's name does not say.
 * @throws UserError as {@link formatOfFile}, and where a markdown file has no blocks.
 */
export async function writeReport(report: Report, file: string, asked?: TableFormat): Promise<void> {
  await writeFileAtomic(file, await expectedText(report, file, formatOfFile(file, asked)));
}

/**
 * Compares a file with what the report would write into it.
 * @returns What is stale, a line each; empty if nothing is.
 * @throws UserError if the file is not there, or holds no tables.
 */
async function staleLines(report: Report, file: string, format: TableFormat): Promise<string[]> {
  if (!existsSync(file)) {
    throw new UserError(`${file} does not exist.`, `Write it first: fcn table --write ${shellWords([file])}.`);
  }
  const found = read(file);
  if (found === (await expectedText(report, file, format))) return [];
  if (format !== 'markdown') return [`${file} is not what the records give.`];
  const expected = partFor(report, file);
  const differences = findBlocks(found, file).flatMap(({ part, content, line }) =>
    staleInBlock(content, expected(part), line),
  );
  return (differences.length > 0 ? differences : ['lines around the tables differ']).map((what) => `${file}: ${what}`);
}

/** Parts that documents must have, and have not: those of a repository each its own, others the published tables in one of them. */
function missingParts(report: Report, documents: readonly string[]): string[] {
  const parts = documents.map((file) => ({ file, there: findBlocks(read(file), file).map(({ part }) => part) }));
  const missing = parts.flatMap(({ file, there }) =>
    (DOCUMENT_PARTS[path.normalize(file)] ?? [])
      .filter((part) => !there.includes(part))
      .map((part) => `${file}: the part ${part} is not there. ${markersHint(part)}`),
  );
  const nowhere = parts.length > 0 && parts.every(({ there }) => !there.includes('published'));
  if (missing.length > 0 || !nowhere || report.tables.length === 0) return missing;
  return [`${documents.join(', ')}: the part published is not there. ${markersHint()}`];
}

/**
 * Compares files with what the report would write into them.
 * @param asked The format of all of them, where their names do not say.
 * @returns What is stale or missing, a line each; empty if all is as it should be.
 * @throws UserError if a file is not there, holds no tables, or is a document and another format is asked for.
 */
export async function checkFiles(report: Report, files: readonly string[], asked?: TableFormat): Promise<string[]> {
  const formats = files.map((file) => ({ file, format: formatOfFile(file, asked) }));
  const stale = await Promise.all(formats.map(({ file, format }) => staleLines(report, file, format)));
  const documents = formats.filter(({ format }) => format === 'markdown').map(({ file }) => file);
  return [...stale.flat(), ...missingParts(report, documents)];
}
