/** The cells of CSV (RFC 4180), line by line. */
export function parseCsv(text: string): string[][] {
  const lines: string[][] = [[]];
  for (const match of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/g)) {
    const [whole, quoted, plain, end] = match;
    if (whole === '' && match.index === text.length) break;
    lines.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain!);
    if (end === '\n') lines.push([]);
    if (end === '') break;
  }
  return lines;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
const unescapeHtml = (html: string) => html.replaceAll(/&([a-z#0-9]+);/g, (_, name: string) => ENTITIES[name]!);

/** A cell of a page: its words, and where its links lead. */
export interface HtmlCell {
  readonly words: string;
  readonly links: readonly string[];
}

/** The cells of the bodies of a page's tables: table by table, row by row. */
export function htmlTables(page: string): HtmlCell[][][] {
  return [...page.matchAll(/<tbody>(.*?)<\/tbody>/gs)].map(([, body]) =>
    [...body!.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, row]) =>
      [...row!.matchAll(/<td>(.*?)<\/td>/gs)].map(([, cell]) => ({
        words: unescapeHtml(cell!.replaceAll(/<[^>]*>/g, '')),
        links: [...cell!.matchAll(/href="([^"]*)"/g)].map(([, href]) => unescapeHtml(href!)),
      })),
    ),
  );
}

const PUNCTUATION = '[!-/:-@[-`{-~]';
const unescapeMarkdown = (written: string) => written.replaceAll(new RegExp(`\\\\(${PUNCTUATION})`, 'g'), '$1');

/** A link by reference, its name and label, or an escaped character. */
const LINK = /\[((?:\\.|[^\\[\]])*)\]\[([a-z]+\d+)\]|\\./g;

/** A table of a markdown text. */
export interface MarkdownTable {
  readonly title: string;
  readonly head: readonly string[];
  /** With the targets of the links, and of a link with a title, that beside its name. */
  readonly rows: readonly (readonly (HtmlCell & { readonly titles: readonly string[] })[])[];
  readonly notes: readonly string[];
}

/** The tables of a markdown text as its reader sees them: links are followed through their labels. */
export function markdownTables(text: string): MarkdownTable[] {
  const definitions = new Map(
    [...text.matchAll(/^\[([a-z]+\d+)\]: (\S+)(?: "(.*)")?$/gm)].map(([, label, href, title]) => [
      label!,
      { href: href === '<>' ? '' : href!, title },
    ]),
  );
  const cellsOf = (line: string) =>
    [...line.matchAll(/ ((?:\\.|[^\\|])*?) (?=\|)/g)].map(([, cell]) => {
      const links = [...cell!.matchAll(LINK)].flatMap(([, name, label]) => {
        if (name === undefined) return [];
        const definition = definitions.get(label!);
        if (definition === undefined) throw new Error(`${label} is nowhere defined: ${line}`);
        return definition;
      });
      return {
        words: unescapeMarkdown(cell!.replaceAll(LINK, (match, name?: string) => name ?? match)),
        links: links.map(({ href }) => href),
        titles: links.flatMap(({ title }) => (title === undefined ? [] : unescapeMarkdown(title))),
      };
    });
  return `\n${text}`
    .split('\n###')
    .slice(1)
    .map((section) => {
      const [title, ...lines] = section.split('\n');
      const [head, , ...rows] = lines.filter((line) => line.startsWith('|')).map(cellsOf);
      return {
        title: unescapeMarkdown(title!.trim()),
        head: head!.map(({ words }) => words),
        rows,
        notes: lines.filter((line) => line.startsWith('- ')).map((line) => unescapeMarkdown(line.slice(2))),
      };
    });
}
