import type { Section, Text } from './document.js';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for HTML, between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** Styles that all pages share: light and dark colours, type, headings, lists of facts. */
export const PAGE_BASE = `
:root {
  --paper: #fbfbfa;
  --card: #fff;
  --ink: #1c1d1f;
  --soft: #5d6167;
  --line: #dcdedf;
  --accent: #2458c5;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #141517; --card: #1d1f22; --ink: #e9eaec; --soft: #a2a7ae; --line: #34373c; --accent: #8fb1ff; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto;
  padding: 1.5rem clamp(0.75rem, 3vw, 2.5rem) 3rem;
  max-width: 110rem;
  background: var(--paper);
  color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif;
}
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 2rem 0 0.5rem; font-size: 1.15rem; }
header p { margin: 0.35rem 0 1rem; max-width: 70ch; color: var(--soft); }
dl { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; margin: 0; }
dt { color: var(--soft); font-size: 0.8rem; }
dd { margin: 0; overflow-wrap: anywhere; }
`;

/** The head of a page that never loads anything. `title` must be escaped. */
export function pageHead(title: string, style: string, { script = false } = {}): string {
  return `<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'${
    script ? "; script-src 'unsafe-inline'" : ''
  }">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${style}</style>
</head>`;
}

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

/** Sections as a page without scripts that loads nothing. */
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
