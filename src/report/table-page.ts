import type { Section, Text } from './document.js';
import { escapeHtml } from './html.js';
import { PAGE_BASE, pageHead } from './page-base.js';

const STYLE = `${PAGE_BASE}
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; font-size: 0.9375rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .7rem; text-align: left; }
th { color: var(--soft); font-weight: 500; }
tbody tr:hover { background: var(--card); }
a { color: var(--accent); }
li { max-width: 60rem; }
`;

function textHtml(text: Text): string {
  return text
    .map(({ text: words, href }) =>
      href === undefined ? escapeHtml(words) : `<a href="${escapeHtml(href)}">${escapeHtml(words)}</a>`,
    )
    .join('');
}

function sectionHtml({ title, table: { head, body }, notes }: Section): string {
  const rows = body.map((cells) => `<tr>${cells.map((cell) => `<td>${textHtml(cell)}</td>`).join('')}</tr>`);
  return [
    `<h2>${escapeHtml(title)}</h2>`,
    `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(title)}"><table>`,
    `<thead><tr>${head.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('')}</tr></thead>`,
    `<tbody>\n${rows.join('\n')}\n</tbody>`,
    '</table></div>',
    ...(notes.length === 0 ? [] : [`<ul>${notes.map((note) => `<li>${textHtml(note)}</li>`).join('')}</ul>`]),
  ].join('\n');
}

/** Sections as a page of its own, without scripts and without anything to load. */
export function tablePage(sections: readonly Section[], title: string): string {
  return [
    '<!doctype html>',
    '<html lang="en">',
    pageHead(escapeHtml(title), STYLE),
    '<body>',
    `<h1>${escapeHtml(title)}</h1>`,
    ...sections.map(sectionHtml),
    '</body>',
    '</html>',
  ].join('\n');
}
