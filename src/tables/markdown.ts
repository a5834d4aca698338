import type { DocumentTable, Piece, Section, Text } from './cell.js';

/** What markdown reads as more than itself, in GitHub's dialect. */
const SPECIAL = /[\\|[\]<>*`~&#]/g;

/** A text that markdown shows as it is. An underscore within a word means nothing and stays readable. */
function escapeWords(words: string): string {
  return words
    .replaceAll(/\s+/g, ' ')
    .replaceAll(SPECIAL, '\\$&')
    .replaceAll(/(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, '\\_');
}

/** Escapes also what would turn a link behind it into an image. */
function escapePlain(words: string): string {
  return escapeWords(words).replaceAll('!', '\\!');
}

function percentEncoded(character: string): string {
  return [...new TextEncoder().encode(character)]
    .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('');
}

function escapeHref(href: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a link's target must not hold any.
  return href === '' ? '<>' : href.replaceAll(/[\s()<>|\\`\x00-\x1f\x7f]/gu, percentEncoded);
}

type Link = Piece & { readonly href: string };

/** The targets of a text's links, each under a short label, so that a line of a table stays short in the file itself. */
class Definitions {
  private readonly labels = new Map<string, string>();
  private readonly counts = new Map<string, number>();

  /** @param figure Begins the labels of links that are not named by a word: figures and seeds, which link to records. */
  constructor(private readonly figure: string) {}

  /** The label of a link: the first letter of its name, and a number. Links with the same target and name share one. */
  of({ text, href, short }: Link): string {
    const prefix = /^[a-z]/i.exec(short ?? text)?.[0].toLowerCase() ?? this.figure;
    const title = short === undefined ? '' : ` "${escapeWords(text).trim().replaceAll('"', '\\"')}"`;
    const key = `${prefix} ${escapeHref(href)}${title}`;
    const known = this.labels.get(key);
    if (known !== undefined) return known;
    const number = (this.counts.get(prefix) ?? 0) + 1;
    this.counts.set(prefix, number);
    const label = `${prefix}${number}`;
    this.labels.set(key, label);
    return label;
  }

  /** `[m1]: https://…`, a line for each. */
  lines(): string[] {
    return [...this.labels].map(([key, label]) => `[${label}]:${key.slice(key.indexOf(' '))}`);
  }
}

function isLink(piece: Piece): piece is Link {
  return piece.href !== undefined;
}

/** Neighbours without a link as one piece: what an underscore means depends on what stands beside it. */
function joined(text: Text): Text {
  const pieces: Piece[] = [];
  for (const piece of text) {
    const last = pieces.at(-1);
    if (last === undefined || isLink(last) || isLink(piece)) pieces.push(piece);
    else pieces[pieces.length - 1] = { text: last.text + piece.text };
  }
  return pieces;
}

/** Sections as markdown in GitHub's dialect, with the targets of all links below them. */
class Writer {
  private readonly definitions: Definitions;

  constructor(figureLabel: string) {
    this.definitions = new Definitions(figureLabel);
  }

  private text(text: Text): string {
    const written = joined(text)
      .map((piece) =>
        isLink(piece)
          ? `[${escapePlain(piece.short ?? piece.text)}][${this.definitions.of(piece)}]`
          : escapePlain(piece.text),
      )
      .join('')
      .trim();
    // What would begin a list within the line.
    return written.replace(/^([-+]|\d+[.)])(?=\s|$)/, (marker) => `${marker.slice(0, -1)}\\${marker.slice(-1)}`);
  }

  private table({ head, body }: DocumentTable): string {
    const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    return [
      line(head.map((name) => this.text([{ text: name }]))),
      line(head.map(() => '---')),
      ...body.map((cells) => line(cells.map((cell) => this.text(cell)))),
    ].join('\n');
  }

  private section({ title, table, notes }: Section): string {
    const parts = [`### ${this.text([{ text: title }])}`.trim(), this.table(table)];
    if (notes.length > 0) parts.push(notes.map((note) => `- ${this.text(note)}`.trim()).join('\n'));
    return parts.join('\n\n');
  }

  write(sections: readonly Section[]): string {
    const written = sections.map((section) => this.section(section));
    const definitions = this.definitions.lines();
    return [...written, ...(definitions.length === 0 ? [] : [definitions.join('\n')])].join('\n\n');
  }
}

/**
 * Sections as markdown in GitHub's dialect. Links are written by reference, `[model][m1]`, and their targets stand below the last
 * section.
 * @param figureLabel Begins the labels of figures and seeds. Labels hold for a whole file: parts of one need different ones.
 */
export function writeMarkdown(sections: readonly Section[], figureLabel = 'r'): string {
  return new Writer(figureLabel).write(sections);
}

/** A line that says where a link leads: `[m1]: https://…`. Its label is the first group, the target the second. */
export const DEFINITION = /^ {0,3}\[([^\]]+)\]:\s*(\S.*)$/;
