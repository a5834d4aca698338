import type { DocumentTable, Piece, Section, Text } from './document.js';

/** Characters with a meaning in GitHub's markdown. */
const SPECIAL = /[\\|[\]<>*`~&#]/g;

/** Escapes text for markdown. An underscore within a word has no meaning and stays. */
function escapeWords(words: string): string {
  return words
    .replaceAll(/\s+/g, ' ')
    .replaceAll(SPECIAL, '\\$&')
    .replaceAll(/(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, '\\_');
}

/** Also escapes `!`, which would turn a link behind it into an image. */
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

/** Link targets under short labels, which keep the lines of a table short in the file. */
class Definitions {
  private readonly labels = new Map<string, string>();
  private readonly counts = new Map<string, number>();

  /** @param figure Prefix of labels of links without a name: figures and seeds, which link to records. */
  constructor(private readonly figure: string) {}

  /** A link's label: the first letter of its name and a number. Links with equal target and name share a label. */
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

  /** A line `[m1]: https://…` for each label. */
  lines(): string[] {
    return [...this.labels].map(([key, label]) => `[${label}]:${key.slice(key.indexOf(' '))}`);
  }
}

function isLink(piece: Piece): piece is Link {
  return piece.href !== undefined;
}

/** Joins neighbours without links: whether an underscore is escaped depends on the characters beside it. */
function joined(text: Text): Text {
  const pieces: Piece[] = [];
  for (const piece of text) {
    const last = pieces.at(-1);
    if (last === undefined || isLink(last) || isLink(piece)) pieces.push(piece);
    else pieces[pieces.length - 1] = { text: last.text + piece.text };
  }
  return pieces;
}

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
    // Escapes what would begin a list.
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
 * Sections as GitHub's markdown. Links are references, `[model][m1]`, with their targets below the last section.
 * @param figureLabel Prefix of the labels of figures and seeds. Labels apply to a whole file: its parts need different ones.
 */
export function writeMarkdown(sections: readonly Section[], figureLabel = 'r'): string {
  return new Writer(figureLabel).write(sections);
}

/** A line that defines a link's target: `[m1]: https://…`. Groups: label, target. */
export const DEFINITION = /^ {0,3}\[([^\]]+)\]:\s*(\S.*)$/;
