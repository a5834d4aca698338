import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { findBlocks, markersHint, newDocument, replaceBlocks } from './blocks.js';
import { type Section, wordsOf } from './document.js';
import { formatReport, type TableFormat } from './formats.js';
import { linksFrom } from './links.js';
import { parseMarkdown, writeMarkdown } from './markdown.js';
import { PARTS, type Part, sectionsOf } from './sections.js';
import type { Report } from './table.js';

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

/** The format that a file's name asks for. @throws UserError where it names none. */
export function formatOfFile(file: string): TableFormat {
  const format = FORMATS[path.extname(file).toLowerCase()];
  if (format !== undefined) return format;
  throw new UserError(
    `${file}: its ending names no format; expected one of ${Object.keys(FORMATS).join(', ')}.`,
    'Give --format, or another name.',
  );
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
  return (part) => writeMarkdown(sectionsOf(report, part, linkTo));
}

/**
 * What a file should hold: of a markdown file only its blocks are replaced.
 * @throws UserError where a markdown file is there that has no blocks, or that another format would replace.
 */
async function expectedText(report: Report, file: string, format: TableFormat): Promise<string> {
  if (format !== 'markdown' && existsSync(file) && FORMATS[path.extname(file).toLowerCase()] === 'markdown') {
    throw new UserError(
      `${file} is markdown, and --format ${format} would replace all that is written in it.`,
      'Leave --format out, or name another file.',
    );
  }
  if (format !== 'markdown')
    return `${await formatReport(report, format, { folder: path.dirname(file), wide: true })}\n`;
  const content = partFor(report, file);
  if (!existsSync(file)) return newDocument(content);
  const text = read(file);
  if (findBlocks(text, file).length === 0) throw new UserError(`${file} has no place for tables.`, markersHint());
  return replaceBlocks(text, file, content);
}

/** Writes a report into a file: between its markers if it is markdown and there already. */
export async function writeReport(report: Report, file: string, format: TableFormat): Promise<void> {
  await writeFileAtomic(file, await expectedText(report, file, format));
}

/**
 * Compares a file with what the report would write into it.
 * @returns What is stale, a line each; empty where nothing is.
 * @throws UserError where the file is not there, or holds no tables.
 */
export async function staleLines(report: Report, file: string, format: TableFormat): Promise<string[]> {
  if (!existsSync(file)) {
    throw new UserError(`${file} does not exist.`, `Write it first: fcn table --write ${file}.`);
  }
  const found = read(file);
  const missing = format === 'markdown' ? missingParts(found, file) : [];
  if (missing.length > 0) return missing;
  if (found === (await expectedText(report, file, format))) return [];
  if (format !== 'markdown') return [`${file} is not what the records give.`];
  const linkTo = linksFrom(path.dirname(file));
  const differences = findBlocks(found, file).flatMap(({ part, content, line }) => {
    const expected = sectionsOf(report, part, linkTo);
    if (content === writeMarkdown(expected)) return [];
    const cells = compareSections(parseMarkdown(content, file, line), expected);
    return cells.length > 0 ? cells : [`${part}: links or layout differ`];
  });
  return (differences.length > 0 ? differences : ['lines around the tables differ']).map((what) => `${file}: ${what}`);
}

/** Parts that a document of a repository must have, and has not. */
function missingParts(text: string, file: string): string[] {
  const there = findBlocks(text, file).map(({ part }) => part);
  return (DOCUMENT_PARTS[path.normalize(file)] ?? [])
    .filter((part) => !there.includes(part))
    .map((part) => `${file}: the part ${part} is not there. ${markersHint(part)}`);
}

/** The first cells of each section that differ, in words. */
function compareSections(found: readonly Section[], expected: readonly Section[]): string[] {
  if (found.length !== expected.length) {
    const titles = (sections: readonly Section[]) => sections.map(({ title }) => title).join(', ') || 'none';
    return [`the tables ${titles(found)}, and the records give ${titles(expected)}`];
  }
  return expected.flatMap((section, i) => {
    const { title, table, notes } = found[i]!;
    if (title !== section.title) return [`the table ${title}, and the records give ${section.title}`];
    if (table.body.length !== section.table.body.length) {
      return [`${title}: ${table.body.length} rows, and the records give ${section.table.body.length}`];
    }
    const cells = section.table.body.flatMap((cells, y) =>
      cells.flatMap((cell, x) => {
        const there = wordsOf(table.body[y]?.[x] ?? []);
        const wanted = wordsOf(cell);
        if (there === wanted) return [];
        const row = cells.slice(0, 4).map(wordsOf).join(' ');
        return [`${title}, ${row}, ${section.table.head[x]}: ${there}, and the records give ${wanted}`];
      }),
    );
    const heads = table.head.join() === section.table.head.join() ? [] : [`${title}: other columns`];
    const lines = section.notes.flatMap((note, n) =>
      wordsOf(note) === wordsOf(notes[n] ?? []) ? [] : [`${title}: the note "${wordsOf(note)}" is not there`],
    );
    return [...heads, ...cells, ...lines];
  });
}
