import type { Section, Text } from './document.js';
import { escapeHtml } from './html.js';

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); padding: .3rem .7rem; text-align: left; }
th { position: sticky; top: 0; background: Canvas; }
tbody tr:hover { background: color-mix(in srgb, currentColor 7%, transparent); }
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
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeHtml(title)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    `<h1>${escapeHtml(title)}</h1>`,
    ...sections.map(sectionHtml),
    '</body>',
    '</html>',
  ].join('\n');
}
