import { UserError } from '../support/errors.js';
import { PARTS, type Part } from './sections.js';

/** A block of a markdown file that is written by the program; its first and last line say which part of the report. */
export interface Block {
  readonly part: Part;
  readonly content: string;
  /** Of the content's first line, from 1. */
  readonly line: number;
}

function firstLine(part: Part): string {
  return `<!-- fcn table: ${part} -->`;
}

function lastLine(part: Part): string {
  return `<!-- end of fcn table: ${part} -->`;
}

const MARKER = /^<!-- (end of )?fcn table: (.*) -->$/;

interface OpenBlock {
  readonly part: Part;
  readonly at: number;
}

/**
 * Finds the blocks of a file.
 * @throws UserError that names file and line where a marker has no partner, names no part, or stands twice.
 */
export function findBlocks(text: string, file: string): Block[] {
  const blocks: Block[] = [];
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  let open: OpenBlock | null = null;
  for (const [i, line] of lines.entries()) {
    const match = MARKER.exec(line);
    if (match === null) continue;
    const [, ends, name] = match;
    const fail = (message: string): never => {
      throw new UserError(`${file}:${i + 1}: ${message}.`, 'Mend the markers in the file.');
    };
    const part = PARTS.find((known) => known === name);
    if (part === undefined) return fail(`unknown part ${name} in a marker; expected one of ${PARTS.join(', ')}`);
    if (ends === undefined) {
      if (open !== null) fail(`a block begins before that of line ${open.at + 1} ended`);
      if (blocks.some((block) => block.part === part)) fail(`the part ${part} is there twice`);
      open = { part, at: i };
    } else {
      if (open === null || open.part !== part) return fail('the end of a block that did not begin');
      const content = lines
        .slice(open.at + 1, i)
        .join('\n')
        .trim();
      blocks.push({ part, content, line: open.at + 2 });
      open = null;
    }
  }
  if (open !== null) {
    throw new UserError(
      `${file}:${open.at + 1}: the block has no end.`,
      `Close it with a line ${lastLine(open.part)}.`,
    );
  }
  return blocks;
}

function blockText(part: Part, content: string): string {
  return [firstLine(part), '', ...(content === '' ? [] : [content, '']), lastLine(part)].join('\n');
}

/** The text with the content of its blocks replaced; everything between them stays as it is. */
export function replaceBlocks(text: string, file: string, content: (part: Part) => string): string {
  return findBlocks(text, file).reduce((replaced, { part }) => {
    const start = replaced.indexOf(firstLine(part));
    const end = replaced.indexOf(lastLine(part)) + lastLine(part).length;
    return replaced.slice(0, start) + blockText(part, content(part)) + replaced.slice(end);
  }, text);
}

/** A file with all parts, as it is begun where there is none. */
export function newDocument(content: (part: Part) => string): string {
  return `${PARTS.map((part) => blockText(part, content(part))).join('\n\n')}\n`;
}

/** What to add to a file that has no blocks. */
export function markersHint(): string {
  return `Add the lines ${firstLine('published')} and ${lastLine('published')}, or name a file that is not there yet.`;
}
