import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { shellWords } from '../support/format.js';
import { type Section, wordsOf } from './document.js';
import { linksFrom } from './links.js';
import { parseMarkdown, writeMarkdown } from './markdown.js';
import { formatReport, type TableFormat } from './report.js';
import { findBlocks, markersHint, newDocument, PARTS, type Part, replaceBlocks, sectionsOf } from './sections.js';
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

/** Whether a file is or would be a document of which only the blocks between markers are ours. */
function isDocument(file: string): boolean {
  if (FORMATS[path.extname(file).toLowerCase()] === 'markdown') return true;
  return existsSync(file) && findBlocks(read(file), file).length > 0;
}

/**
 * The format to write a file in: what was asked for, or else what its name's ending says.
 * @throws UserError where the name says none, or another format would replace the whole of a document.
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
  return (part) => writeMarkdown(sectionsOf(report, part, linkTo));
}

/**
 * What a file should hold: of a markdown file only its blocks are replaced.
 * @throws UserError where a markdown file is there that has no blocks.
 */
async function expectedText(report: Report, file: string, format: TableFormat): Promise<string> {
  if (format !== 'markdown')
    return `${await formatReport(report, format, { folder: path.dirname(file), wide: true })}\n`;
  const content = partFor(report, file);
  if (!existsSync(file)) return newDocument(content);
  const text = read(file);
  if (findBlocks(text, file).length === 0) throw new UserError(`${file} has no place for tables.`, markersHint());
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
 * @returns What is stale, a line each; empty where nothing is.
 * @throws UserError where the file is not there, or holds no tables.
 */
async function staleLines(report: Report, file: string, format: TableFormat): Promise<string[]> {
  if (!existsSync(file)) {
    throw new UserError(`${file} does not exist.`, `Write it first: fcn table --write ${shellWords([file])}.`);
  }
  const found = read(file);
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
 * @returns What is stale or missing, a line each; empty where all is as it should be.
 * @throws UserError where a file is not there, holds no tables, or is a document and another format is asked for.
 */
export async function checkFiles(report: Report, files: readonly string[], asked?: TableFormat): Promise<string[]> {
  const formats = files.map((file) => ({ file, format: formatOfFile(file, asked) }));
  const stale = await Promise.all(formats.map(({ file, format }) => staleLines(report, file, format)));
  const documents = formats.filter(({ format }) => format === 'markdown').map(({ file }) => file);
  return [...stale.flat(), ...missingParts(report, documents)];
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

/** Which tables one has and the other has not; where they have the same, the cells that differ, in words. */
function compareSections(found: readonly Section[], expected: readonly Section[]): string[] {
  const there = found.map(({ title }) => title);
  const wanted = expected.map(({ title }) => title);
  const missing = lacking(wanted, there).map((title) => `the table ${title} is missing`);
  const surplus = lacking(there, wanted).map((title) => `the table ${title} is none that the records give`);
  if (missing.length + surplus.length > 0) return [...missing, ...surplus];
  if (there.join('\n') !== wanted.join('\n')) return [`the tables are in another order than ${wanted.join(', ')}`];
  return expected.flatMap((section, i) => {
    const { title, table, notes } = found[i]!;
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
