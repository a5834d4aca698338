import type { Section, Text } from './document.js';
import { terminalTable } from './layout.js';

/** Most records that are numbered; of more, their folders are named. */
const MOST_NUMBERED = 12;

function isRecord(href: string | undefined): href is string {
  return href !== undefined && !URL.canParse(href);
}

/** A section with borders, as wide as it gets. Records are numbered below it. */
function wideSection({ title, table: { head, body }, notes }: Section): string {
  const files = [...new Set(body.flat(2).flatMap(({ href }) => (isRecord(href) ? href : [])))];
  const numbered = files.length <= MOST_NUMBERED;
  const words = (text: Text) =>
    text.map(({ text, href }) => (numbered && isRecord(href) ? `${text} [${files.indexOf(href) + 1}]` : text)).join('');
  const folders = [...new Set(files.map((file) => file.replace(/[\\/][^\\/]*$/, '')))];
  return [
    title,
    '',
    terminalTable({ head, body: body.map((cells) => cells.map(words)) }),
    '',
    ...notes.map(words),
    ...(numbered
      ? files.map((file, i) => `[${i + 1}] ${file}`)
      : [`Records: ${folders.join(', ')} (fcn results list).`]),
  ].join('\n');
}

/** Sections for a terminal that is wide enough. */
export function wideReport(sections: readonly Section[]): string {
  return sections.map(wideSection).join('\n\n');
}
