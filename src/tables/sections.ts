import path from 'node:path';
import {
  dependsOnHardware,
  FIGURE_HEADINGS,
  FIGURES,
  formatFigure,
  formatSmallFigure,
  type Spread,
} from '../records/figures.js';
import { UserError } from '../support/errors.js';
import { packageRoot } from '../support/package.js';
import {
  cellText,
  type DocumentTable,
  hardwareOfCells,
  type LinkTo,
  markNotes,
  marksOf,
  type Piece,
  plain,
  recordPiece,
  type Section,
  seedPieces,
  type Text,
} from './cell.js';
import { cellsOf, notesOf, type OtherGroup, otherGroups } from './notes.js';
import type { PublishedTable, Report, TableRow } from './table.js';

const HEADINGS = FIGURES.map((figure) => FIGURE_HEADINGS[figure]);

/** Addresses of a row's published weights and log. */
function downloadText({ weights, log }: TableRow): Text {
  const links: Piece[] = [
    ...(weights === null ? [] : [{ text: 'model', href: weights }]),
    ...(log === null ? [] : [{ text: 'log', href: log }]),
  ];
  if (links.length === 0) return plain('–');
  return links.flatMap((link, i) => (i === 0 ? [link] : [{ text: ', ' }, link]));
}

function configText({ row, config }: TableRow, linkTo: LinkTo): Text {
  const href = linkTo(path.resolve(packageRoot(), config));
  return [href === undefined ? { text: row } : { text: row, href, short: 'config' }];
}

/** A published table in the original's columns. */
function publishedSection(table: PublishedTable, linkTo: LinkTo): Section {
  const hardware = hardwareOfCells(cellsOf(table));
  return {
    title: table.table,
    table: {
      head: ['Method', 'Backbone', 'Crop Size', 'Lr schd', ...HEADINGS, 'config', 'download'],
      body: table.rows.map((row) => [
        plain(row.method),
        plain(row.backbone),
        plain(row.crop),
        plain(String(row.iterations)),
        ...FIGURES.map((figure) => cellText(row.cells[figure], linkTo, hardware)),
        configText(row, linkTo),
        downloadText(row),
      ]),
    },
    notes: notesOf(table, 'Each cell: published / measured here.').map(plain),
  };
}

function otherSection({ title, reason, hardware, runs }: OtherGroup, linkTo: LinkTo): Section {
  return {
    title,
    table: {
      head: ['Row', 'Seed', ...HEADINGS],
      body: runs.map((run) => [
        plain(run.row),
        plain(String(run.seed)),
        ...FIGURES.map((figure): Text => {
          const value = run.figures[figure];
          if (value === null) return plain('–');
          const marks = marksOf({ ...run, givenWeights: run.givenWeights && !dependsOnHardware(figure) });
          const figureText = recordPiece(formatSmallFigure(value), run, linkTo);
          return marks === '' ? [figureText] : [figureText, { text: ` ${marks}` }];
        }),
      ]),
    },
    notes: [`Compares with nothing published: ${reason}.`, `Measured on ${hardware}.`, ...markNotes(runs)].map(plain),
  };
}

/** Means over seeds, a line a recipe. */
function spreadTable(spreads: readonly Spread[], linkTo: LinkTo): DocumentTable {
  return {
    head: ['Row', 'Recipe', 'n', 'Seeds', ...HEADINGS],
    body: spreads.map(({ row, profile, changes, runs, figures }) => [
      plain(row),
      plain([`${profile} profile`, ...changes].join(', ')),
      plain(String(runs.length)),
      seedPieces(runs, linkTo),
      ...FIGURES.map((figure) => {
        const value = figures[figure];
        return plain(value === null ? '–' : `${formatSmallFigure(value.mean)} ± ${formatFigure(value.deviation)}`);
      }),
    ]),
  };
}

/** Parts of a report that a file may hold apart: published tables; smoke runs; other runs here; each with its means over seeds. */
export const PARTS = ['published', 'smoke', 'local'] as const;
export type Part = (typeof PARTS)[number];

/** The sections of a part of a report. */
export function sectionsOf(report: Report, part: Part, linkTo: LinkTo): Section[] {
  const sections =
    part === 'published'
      ? report.tables.map((table) => publishedSection(table, linkTo))
      : otherGroups(report.otherRuns)
          .filter(({ kind }) => kind === part)
          .map((group) => otherSection(group, linkTo));
  const spreads = report.spreads.filter(({ kind }) => kind === part);
  if (spreads.length === 0) return sections;
  const title = 'Over seeds: mean ± sample standard deviation';
  return [...sections, { title, table: spreadTable(spreads, linkTo), notes: [] }];
}

/** A block of a markdown file that is written by the program; its first and last line say which part of the report. */
interface Block {
  readonly part: Part;
  readonly content: string;
  /** Number of the content's first line, from 1. */
  readonly line: number;
  /** Offsets of the first character of its first line, and behind the last of its last, without the line's end. */
  readonly start: number;
  readonly end: number;
  /** As its first line ends. */
  readonly lineEnd: string;
}

function firstLine(part: Part): string {
  return `<!-- fcn table: ${part} -->`;
}

function lastLine(part: Part): string {
  return `<!-- end of fcn table: ${part} -->`;
}

const MARKER = /^<!-- (end of )?fcn table: (.*) -->$/;

/** The line that begins or ends code; within it, a marker is an example. */
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;

interface Line {
  /** Without its end. */
  readonly text: string;
  readonly start: number;
  readonly lineEnd: string;
  /** Whether it is a line of fenced code. */
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
        // Backquotes after backquotes are code within a line.
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

interface OpenBlock {
  readonly part: Part;
  readonly at: number;
}

/**
 * Finds the blocks of a file. What stands in fenced code is none.
 * @throws UserError that names file and line where a marker has no partner, names no part, or stands twice.
 */
export function findBlocks(text: string, file: string): Block[] {
  const blocks: Block[] = [];
  const lines = linesOf(text);
  let open: OpenBlock | null = null;
  for (const [i, { text: line, start, code }] of lines.entries()) {
    const match = code ? null : MARKER.exec(line);
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
      const inside = lines.slice(open.at + 1, i).map((inner) => inner.text);
      const blank = inside.findIndex((inner) => inner.trim() !== '');
      const first = lines[open.at]!;
      blocks.push({
        part,
        content: inside.join('\n').trim(),
        line: open.at + 2 + Math.max(blank, 0),
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

/** The lines of a file around its blocks, without fenced code, with their numbers from 1. */
export function linesAround(text: string, file: string): { readonly text: string; readonly number: number }[] {
  const blocks = findBlocks(text, file);
  return linesOf(text)
    .map((line, i) => ({ ...line, number: i + 1 }))
    .filter(({ start, code }) => !code && !blocks.some((block) => start >= block.start && start < block.end));
}

function blockText(part: Part, content: string): string {
  return [firstLine(part), '', ...(content === '' ? [] : [content, '']), lastLine(part)].join('\n');
}

/** The text with the content of its blocks replaced, in the line ends that they have; what is between them stays as it is. */
export function replaceBlocks(text: string, file: string, content: (part: Part) => string): string {
  const blocks = findBlocks(text, file);
  const pieces = blocks.map(({ part, start, lineEnd }, i) => [
    text.slice(blocks[i - 1]?.end ?? 0, start),
    blockText(part, content(part)).replaceAll('\n', lineEnd),
  ]);
  return [...pieces.flat(), text.slice(blocks.at(-1)?.end ?? 0)].join('');
}

/** A file with all parts, as it is begun where there is none. */
export function newDocument(content: (part: Part) => string): string {
  return `${PARTS.map((part) => blockText(part, content(part))).join('\n\n')}\n`;
}

/** What to add to a file that lacks a block. */
export function markersHint(part: Part = 'published'): string {
  return `Add the lines ${firstLine(part)} and ${lastLine(part)}, or name a file that is not there yet.`;
}
