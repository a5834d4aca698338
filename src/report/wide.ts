import { NOTHING_TO_SHOW } from './compact.js';
import type { Section, Text } from './document.js';
import { terminalTable } from './layout.js';
import { References } from './references.js';

function isRecord(href: string | undefined): href is string {
  return href !== undefined && !URL.canParse(href);
}

/** A section with borders, as wide as it gets. */
function wideSection({ title, table: { head, body }, notes }: Section, references: References): string {
  const words = (text: Text) =>
    text.map((piece) => (isRecord(piece.href) ? `${piece.text} ${references.of(piece.href)}` : piece.text)).join('');
  return [
    title,
    '',
    terminalTable({ head, body: body.map((cells) => cells.map(words)) }),
    ...(notes.length === 0 ? [] : ['', ...notes.map(words)]),
  ].join('\n');
}

/** Sections for a terminal that is wide enough. The records of all figures are numbered, and listed at the end. */
export function wideReport(sections: readonly Section[]): string {
  if (sections.length === 0) return NOTHING_TO_SHOW;
  const references = new References();
  const shown = sections.map((section) => wideSection(section, references));
  const records = references.lines();
  return [...shown, ...(records.length === 0 ? [] : [records.join('\n')])].join('\n\n');
}
