import { UserError } from '../support/errors.js';
import type { DocumentTable, Piece, Section, Text } from './document.js';

/** What markdown reads as more than itself, in GitHub's dialect. */
const SPECIAL = /[\\|[\]<>*`~&#]/g;

/** A text that markdown shows as it is. An underscore within a word means nothing and stays readable. */
function escapeWords(words: string): string {
  return words
    .replaceAll(/\s+/g, ' ')
    .replaceAll(SPECIAL, '\\$&')
    .replaceAll(/(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, '\\_');
}

/** What would make a list of a line, or an image of a link behind it, is said with a backslash, too. */
function escapePlain(words: string): string {
  return escapeWords(words).replaceAll('!', '\\!');
}

function escapeHref(href: string): string {
  return href.replaceAll(/[\s()<>|\\`]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Neighbours without a link as one piece: what an underscore means depends on what stands beside it. */
function joined(text: Text): Text {
  const pieces: Piece[] = [];
  for (const piece of text) {
    const last = pieces.at(-1);
    if (last === undefined || last.href !== undefined || piece.href !== undefined) pieces.push(piece);
    else pieces[pieces.length - 1] = { text: last.text + piece.text };
  }
  return pieces;
}

function writeText(text: Text): string {
  const written = joined(text)
    .map(({ text: words, href }) =>
      href === undefined ? escapePlain(words) : `[${escapePlain(words)}](${escapeHref(href)})`,
    )
    .join('')
    .trim();
  return written.replace(/^([-+]|\d+[.)])(?=\s|$)/, (marker) => `${marker.slice(0, -1)}\\${marker.slice(-1)}`);
}

function writeTable({ head, body }: DocumentTable): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(head.map((name) => writeText([{ text: name }]))),
    line(head.map(() => '---')),
    ...body.map((cells) => line(cells.map(writeText))),
  ].join('\n');
}

function writeSection({ title, table, notes }: Section): string {
  const parts = [`### ${writeText([{ text: title }])}`.trim(), writeTable(table)];
  if (notes.length > 0) parts.push(notes.map((note) => `- ${writeText(note)}`.trim()).join('\n'));
  return parts.join('\n\n');
}

/** Sections as markdown in GitHub's dialect, which {@link parseMarkdown} reads again. */
export function writeMarkdown(sections: readonly Section[]): string {
  return sections.map(writeSection).join('\n\n');
}

/** One piece: a link, or as much plain text as there is before one. */
const PIECE = /\[((?:\\.|[^\\[\]])*)\]\(([^\s()<>]*)\)|((?:\\.|[^\\[])+)/gy;

function unescapeWords(words: string): string {
  return words.replaceAll(/\\([!-/:-@[-`{-~])/g, '$1');
}

function parseText(written: string, fail: (message: string) => never): Text {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of written.matchAll(PIECE)) {
    end = match.index + match[0].length;
    const [, label, href, words] = match;
    if (words !== undefined) pieces.push({ text: unescapeWords(words) });
    else pieces.push({ text: unescapeWords(label!), href: href! });
  }
  if (end !== written.length) fail(`expected text or a link, got: ${written.slice(end)}`);
  return pieces;
}

/** The cells of a line, split at the bars that no backslash stands before. */
function cellsOf(line: string, fail: (message: string) => never): string[] {
  const match = /^\|((?:\\.|[^\\])*)\|$/.exec(line);
  if (match === null) fail('expected a line of a table that ends with "|"');
  const cells: string[] = [];
  let cell = '';
  for (const [token] of match![1]!.matchAll(/\\.|[^\\]/g)) {
    if (token === '|') {
      cells.push(cell.trim());
      cell = '';
    } else {
      cell += token;
    }
  }
  return [...cells, cell.trim()];
}

/**
 * Reads what {@link writeMarkdown} writes.
 * @param file What errors name.
 * @throws UserError that names file and line where it is something else.
 */
export function parseMarkdown(markdown: string, file: string, firstLine = 1): Section[] {
  const sections: { title: string; table: { head: string[]; body: Text[][] }; notes: Text[] }[] = [];
  let state: 'outside' | 'title' | 'head' | 'body' | 'notes' = 'outside';
  for (const [i, raw] of markdown.split('\n').entries()) {
    const line = raw.trim();
    const fail = (message: string): never => {
      throw new UserError(
        `${file}:${firstLine + i}: ${message}.`,
        `Write the tables again: fcn table --write ${file}.`,
      );
    };
    const words = (text: string) =>
      parseText(text, fail)
        .map((piece) => piece.text)
        .join('');
    const current = sections.at(-1);
    if (line === '') continue;
    if (line === '###' || line.startsWith('### ')) {
      if (state === 'title' || state === 'head') fail('expected a table, got a heading');
      sections.push({ title: words(line.slice(3).trim()), table: { head: [], body: [] }, notes: [] });
      state = 'title';
    } else if (current === undefined) {
      fail('expected a heading that begins with "###"');
    } else if (line.startsWith('|') && state !== 'notes') {
      const cells = cellsOf(line, fail);
      if (state === 'title') {
        current.table.head = cells.map(words);
        state = 'head';
      } else if (cells.length !== current.table.head.length) {
        fail(`expected ${current.table.head.length} cells, got ${cells.length}`);
      } else if (state === 'head') {
        if (!cells.every((cell) => cell === '---')) fail('expected the line below the heads, of "---"');
        state = 'body';
      } else {
        current.table.body.push(cells.map((cell) => parseText(cell, fail)));
      }
    } else if ((line === '-' || line.startsWith('- ')) && (state === 'body' || state === 'notes')) {
      current.notes.push(parseText(line.slice(1).trim(), fail));
      state = 'notes';
    } else {
      fail('expected a heading, a table or a note that begins with "-"');
    }
  }
  return sections;
}
