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
