import { UserError } from '../support/errors.js';
import { PARTS, type Part } from './sections.js';

/** A block of a markdown file that the program writes, between two marker lines that name its part of the report. */
interface Block {
  readonly part: Part;
  readonly content: string;
  /** Line number of the content, from 1. */
  readonly line: number;
  /** Offsets of the block's first character and behind its last one, without the line end. */
  readonly start: number;
  readonly end: number;
  /** Line end of its first line. */
  readonly lineEnd: string;
}

function firstLine(part: Part): string {
  return `<!-- fcn table: ${part} -->`;
}

function lastLine(part: Part): string {
  return `<!-- end of fcn table: ${part} -->`;
}

const MARKER = /^<!-- (end of )?fcn table: (.*) -->$/;

/** The line that begins or ends fenced code, in which a marker is only an example. */
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;

interface Line {
  /** Without the line end. */
  readonly text: string;
  readonly start: number;
  readonly lineEnd: string;
  /** Whether it is in fenced code. */
  readonly code: boolean;
}

function linesOf(text: string): Line[] {
  let start = 0;
  let fence: string | null = null;
  return text.split('\n').map((raw) => {
    const crlf = raw.endsWith('\r');
    const line = crlf ? raw.slice(0, -1) : raw;
    const [, mark, rest] = FENCE.exec(line) ?? [];
    let code = fence !== null;
    if (mark !== undefined && rest !== undefined) {
      if (fence === null) {
        // Backquotes in the rest of the line make it inline code.
        code = !(mark.startsWith('`') && rest.includes('`'));
        if (code) fence = mark;
      } else if (mark.startsWith(fence) && rest.trim() === '') {
        fence = null;
      }
    }
    const described = { text: line, start, lineEnd: crlf ? '\r\n' : '\n', code };
    start += raw.length + 1;
    return described;
  });
}

/**
 * Finds the blocks of a file, outside fenced code.
 * @throws UserError that names file and line of a marker without partner, of an unknown part, or of a repeated part.
 */
export function findBlocks(text: string, file: string): Block[] {
  const blocks: Block[] = [];
  const lines = linesOf(text);
  let open: { readonly part: Part; readonly at: number } | null = null;
  for (const [i, { text: line, start, code }] of lines.entries()) {
    const match = code ? null : MARKER.exec(line);
    if (match === null) continue;
    const [, ends, name] = match;
    const fail = (message: string): never => {
      throw new UserError(`${file}:${i + 1}: ${message}.`, 'Fix the markers in the file.');
    };
    const part = PARTS.find((known) => known === name);
    if (part === undefined) return fail(`unknown part ${name} in a marker; expected one of ${PARTS.join(', ')}`);
    if (ends === undefined) {
      if (open !== null) fail(`a block begins before the one of line ${open.at + 1} ends`);
      if (blocks.some((block) => block.part === part)) fail(`the part ${part} occurs twice`);
      open = { part, at: i };
    } else {
      if (open === null || open.part !== part) return fail('this block ends, but did not begin');
      const inside = lines.slice(open.at + 1, i).map((inner) => inner.text);
      const blankLines = inside.findIndex((inner) => inner.trim() !== '');
      const first = lines[open.at]!;
      blocks.push({
        part,
        content: inside.join('\n').trim(),
        line: open.at + 2 + Math.max(blankLines, 0),
        start: first.start,
        end: start + line.length,
        lineEnd: first.lineEnd,
      });
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

/** The lines outside blocks and fenced code, with their numbers from 1. */
export function linesAround(text: string, file: string): { readonly text: string; readonly number: number }[] {
  const blocks = findBlocks(text, file);
  return linesOf(text)
    .map((line, i) => ({ ...line, number: i + 1 }))
    .filter(({ start, code }) => !code && !blocks.some((block) => start >= block.start && start < block.end));
}

function blockText(part: Part, content: string): string {
  return [firstLine(part), '', ...(content === '' ? [] : [content, '']), lastLine(part)].join('\n');
}

/** Replaces the content of the blocks, keeps their line ends, and does not change the text around them. */
export function replaceBlocks(text: string, file: string, content: (part: Part) => string): string {
  const blocks = findBlocks(text, file);
  const pieces = blocks.map(({ part, start, lineEnd }, i) => [
    text.slice(blocks[i - 1]?.end ?? 0, start),
    blockText(part, content(part)).replaceAll('\n', lineEnd),
  ]);
  return [...pieces.flat(), text.slice(blocks.at(-1)?.end ?? 0)].join('');
}

/** A new file with all parts. */
export function newDocument(content: (part: Part) => string): string {
  return `${PARTS.map((part) => blockText(part, content(part))).join('\n\n')}\n`;
}

/** How to add a missing block to a file. */
export function markersHint(part: Part = 'published'): string {
  return `Add the lines ${firstLine(part)} and ${lastLine(part)}, or name a file that does not exist yet.`;
}
