import { UserError } from '../support/errors.js';
import { PARTS, type Part } from './sections.js';

/** A block of a markdown file that is written by the program; its first and last line say which part of the report. */
export interface Block {
  readonly part: Part;
  readonly content: string;
  /** Of the content's first line, from 1: the line after the marker. */
  readonly line: number;
  /** Of the last marker. */
  readonly lastLine: number;
}

function firstLine(part: Part): string {
  return `<!-- fcn table: ${part} -->`;
}

function lastLine(part: Part): string {
  return `<!-- end of fcn table: ${part} -->`;
}

const MARKER = /^<!-- (end of )?fcn table: (.*) -->$/;
/** Of a block of code, in which a marker is an example of one. */
const FENCE = /^ {0,3}(```+|~~~+)/;

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
  let fence: string | null = null;
  for (const [i, line] of lines.entries()) {
    const [, ticks] = FENCE.exec(line) ?? [];
    if (ticks !== undefined && (fence === null || ticks.startsWith(fence))) fence = fence === null ? ticks : null;
    if (fence !== null) continue;
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
      blocks.push({ part, content, line: open.at + 2, lastLine: i + 1 });
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

/** The text with the content of its blocks replaced, in their line ends; everything between them stays as it is. */
export function replaceBlocks(text: string, file: string, content: (part: Part) => string): string {
  const lines = text.split('\n');
  // From the last, so that the numbers of the lines before it stay.
  for (const { part, line, lastLine: last } of findBlocks(text, file).reverse()) {
    const carriage = lines[line - 2]!.endsWith('\r') ? '\r' : '';
    const block = blockText(part, content(part)).split('\n');
    const end = lines[last - 1]!.endsWith('\r') ? '\r' : '';
    lines.splice(
      line - 2,
      last - line + 2,
      ...block.slice(0, -1).map((one) => one + carriage),
      `${block.at(-1)}${end}`,
    );
  }
  return lines.join('\n');
}

/** A file with all parts, as it is begun where there is none. */
export function newDocument(content: (part: Part) => string): string {
  return `${PARTS.map((part) => blockText(part, content(part))).join('\n\n')}\n`;
}

/** What to add to a file that lacks a block. */
export function markersHint(part: Part = 'published'): string {
  return `Add the lines ${firstLine(part)} and ${lastLine(part)}, or name a file that is not there yet.`;
}
