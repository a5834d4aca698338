import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { shellWords } from '../support/format.js';
import { findBlocks, linesAround, markersHint, newDocument, replaceBlocks } from './blocks.js';
import { linksFrom } from './document.js';
import { DEFINITION, writeMarkdown } from './markdown.js';
import { formatReport, type TableFormat } from './report.js';
import { PARTS, type Part, sectionsOf } from './sections.js';
import { staleInBlock } from './stale.js';
import type { Report } from './table.js';

/** The documents of a repository with tables, and the parts that each must have. */
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

/** Whether a file is or would be a document in which only the blocks between markers are replaced. */
function isDocument(file: string): boolean {
  if (FORMATS[path.extname(file).toLowerCase()] === 'markdown') return true;
  return existsSync(file) && findBlocks(read(file), file).length > 0;
}

/**
 * The format to write a file in: the requested one, or else that of its ending.
 * @throws UserError if the ending is unknown, or the format would replace a whole document.
 */
export function formatOfFile(file: string, requested?: TableFormat): TableFormat {
  const format = requested ?? FORMATS[path.extname(file).toLowerCase()];
  if (format === undefined) {
    throw new UserError(
      `${file} has no known ending; expected one of ${Object.keys(FORMATS).join(', ')}.`,
      'Give --format, or use another name.',
    );
  }
  if (format !== 'markdown' && isDocument(file)) {
    throw new UserError(
      `${file} is a markdown document: as ${format}, the tables would replace its whole content.`,
      `Leave out --format ${format}, or write another file.`,
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

/** Makes the parts of a report for a file. */
function partFor(report: Report, file: string): (part: Part) => string {
  const linkTo = linksFrom(path.dirname(file));
  // Labels apply to a whole file, so each part has its own.
  return (part) => writeMarkdown(sectionsOf(report, part, linkTo), part === 'published' ? 'r' : part);
}

/**
 * Markdown uses the first definition of a label in a file, so none around the blocks may have a label of the tables.
 * @throws UserError that names file, line and label.
 */
function checkLabels(text: string, file: string, written: string): void {
  const ours = new Set(written.split('\n').flatMap((line) => DEFINITION.exec(line)?.[1]?.toLowerCase() ?? []));
  for (const { text: line, number } of linesAround(text, file)) {
    const label = DEFINITION.exec(line)?.[1]?.toLowerCase();
    if (label !== undefined && ours.has(label)) {
      throw new UserError(
        `${file}:${number}: the label [${label}] is also a label of the tables' links.`,
        'Give the link another label.',
      );
    }
  }
}

/**
 * What a file should hold. In an existing markdown file, only the blocks are replaced.
 * @throws UserError if an existing markdown file has no blocks, or uses a label of the tables for another link.
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
 * Writes a report into a file; in an existing markdown file, between its markers.
 * @param requested The format; default: that of the file's ending.
 * @throws UserError as `formatOfFile`, or if a markdown file has no blocks.
 */
export async function writeReport(report: Report, file: string, requested?: TableFormat): Promise<void> {
  await writeFileAtomic(file, await expectedText(report, file, formatOfFile(file, requested)));
}

/**
 * Compares a file with what the report would write into it.
 * @returns A line for each stale item.
 * @throws UserError if the file does not exist or has no tables.
 */
async function staleLines(report: Report, file: string, format: TableFormat): Promise<string[]> {
  if (!existsSync(file)) {
    throw new UserError(`${file} does not exist.`, `Write it first: fcn table --write ${shellWords([file])}.`);
  }
  const found = read(file);
  if (found === (await expectedText(report, file, format))) return [];
  if (format !== 'markdown') return [`${file} differs from what the records give.`];
  const expected = partFor(report, file);
  const differences = findBlocks(found, file).flatMap(({ part, content, line }) =>
    staleInBlock(content, expected(part), line),
  );
  return (differences.length > 0 ? differences : ['lines around the tables differ']).map((what) => `${file}: ${what}`);
}

/** Missing parts: each document of a repository must have its own; of other documents, one must have the published tables. */
function missingParts(report: Report, documents: readonly string[]): string[] {
  const parts = documents.map((file) => ({ file, there: findBlocks(read(file), file).map(({ part }) => part) }));
  const missing = parts.flatMap(({ file, there }) =>
    (DOCUMENT_PARTS[path.normalize(file)] ?? [])
      .filter((part) => !there.includes(part))
      .map((part) => `${file}: the part ${part} is missing. ${markersHint(part)}`),
  );
  const nowhere = parts.length > 0 && parts.every(({ there }) => !there.includes('published'));
  if (missing.length > 0 || !nowhere || report.tables.length === 0) return missing;
  return [`${documents.join(', ')}: the part published is missing. ${markersHint()}`];
}

/**
 * Compares files with what the report would write into them.
 * @param requested The format of all files; default: those of their endings.
 * @returns A line for each stale or missing item.
 * @throws UserError if a file does not exist, has no tables, or is a document but another format is requested.
 */
export async function checkFiles(report: Report, files: readonly string[], requested?: TableFormat): Promise<string[]> {
  const formats = files.map((file) => ({ file, format: formatOfFile(file, requested) }));
  const stale = await Promise.all(formats.map(({ file, format }) => staleLines(report, file, format)));
  const documents = formats.filter(({ format }) => format === 'markdown').map(({ file }) => file);
  return [...stale.flat(), ...missingParts(report, documents)];
}
