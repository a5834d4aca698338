import { escapeHtml, PAGE_BASE } from '../tables/html.js';
import { chartStyle } from './charts/svg.js';

/** Text, a right-aligned number, or a link. */
export type CellContent = string | { readonly number: string } | { readonly link: string; readonly text: string };

interface TableContent {
  /** For screen readers. */
  readonly name: string;
  readonly head: readonly string[];
  /** The first cell of each row is its heading. */
  readonly body: readonly (readonly CellContent[])[];
}

function cellHtml(cell: CellContent): string {
  if (typeof cell === 'string') return escapeHtml(cell);
  if ('number' in cell) return escapeHtml(cell.number);
  // The name of a row is one word: on a phone it breaks at an underscore.
  return `<a href="${escapeHtml(cell.link)}">${escapeHtml(cell.text).replaceAll('_', '_<wbr>')}</a>`;
}

const isNumber = (cell: CellContent | undefined) => typeof cell === 'object' && 'number' in cell;

/** A table that scrolls sideways if it is too wide, also by keyboard. */
export function htmlTable({ name, head, body }: TableContent): string {
  const first = body[0];
  const heads = head.map(
    (title, i) => `<th scope="col"${isNumber(first?.[i]) ? ' class="number"' : ''}>${escapeHtml(title)}</th>`,
  );
  const rows = body.map((cells) => {
    const [header, ...rest] = cells;
    const data = rest.map((cell) => `<td class="${isNumber(cell) ? 'number' : 'text'}">${cellHtml(cell)}</td>`);
    // A path of the recipe is one word: on a phone it breaks at a dot.
    const heading = cellHtml(header!).replaceAll(/(?<=[a-z])\.(?=[a-z])/gi, '.<wbr>');
    return `<tr><th scope="row">${heading}</th>${data.join('')}</tr>`;
  });
  const label = escapeHtml(name);
  return `<div class="scroll" role="region" tabindex="0" aria-label="${label}"><table>
<thead><tr>${heads.join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody></table></div>`;
}

/** A list of terms with their descriptions. A term whose description is null is left out. */
export function facts(lines: readonly (readonly [term: string, text: string | null])[]): string {
  const shown = lines.filter(([, text]) => text !== null);
  return `<dl>\n${shown.map(([term, text]) => `<div><dt>${escapeHtml(term)}</dt><dd>${escapeHtml(text!)}</dd></div>`).join('\n')}\n</dl>`;
}

export function dataUri(type: 'image/jpeg' | 'image/png', bytes: Buffer): string {
  return `data:${type};base64,${bytes.toString('base64')}`;
}

/** Style of the report: charts side by side if there is room, one column on a phone. Wide tables scroll, not the page. */
export const REPORT_STYLE = `${PAGE_BASE}
a { color: var(--accent); }
h3 { margin: 1.5rem 0 0.5rem; font-size: 1rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 0.5rem; background:
  linear-gradient(to right, var(--card) 40%, transparent) left / 2.5rem 100% no-repeat local,
  linear-gradient(to left, var(--card) 40%, transparent) right / 2.5rem 100% no-repeat local,
  linear-gradient(to right, rgb(128 128 128 / 50%), transparent) left / 0.6rem 100% no-repeat scroll,
  linear-gradient(to left, rgb(128 128 128 / 50%), transparent) right / 0.6rem 100% no-repeat scroll,
  var(--card); }
.scroll:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.75rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 500; overflow-wrap: break-word; min-width: 9rem; }
td.number { text-align: right; white-space: nowrap; }
th.number { text-align: right; }
td.text { overflow-wrap: anywhere; min-width: 6.75rem; }
td.text:last-child { min-width: 8rem; }
.card th, .card td { padding-inline: 0.4rem; }
.card tbody th, .card td.text { min-width: 0; }
@media (max-width: 40rem) { th, td { padding-inline: 0.5rem; } tbody th { min-width: 8rem; } td.text:last-child { min-width: 6.75rem; } }
.run { margin: 1.5rem 0 0; border-top: 2px solid var(--line); }
.run > summary { padding: 0.75rem 0; cursor: pointer; font-size: 1.15rem; font-weight: 600; overflow-wrap: anywhere; }
.run > summary small { font-size: 0.875rem; font-weight: 400; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem; align-items: start; }
.card { margin: 0; padding: 0.85rem 1rem; border: 1px solid var(--line); border-radius: 0.5rem; background: var(--card); min-width: 0; }
.card h3 { margin: 0 0 0.5rem; }
.card .chart { display: block; width: 100%; height: auto; max-width: 34rem; }
.card .tall { max-height: 34rem; overflow-y: auto; }
.examples { display: grid; gap: 1rem; }
.example { margin: 0; padding: 0.75rem; border: 1px solid var(--line); border-radius: 0.5rem; background: var(--card); }
.example figcaption { margin-bottom: 0.5rem; font-size: 0.875rem; overflow-wrap: anywhere; }
.example figcaption span { color: var(--soft); }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 8.5rem), 1fr)); gap: 0.5rem; }
@media (min-width: 60rem) { .panels { grid-template-columns: repeat(4, 1fr); } }
.panels figure { margin: 0; }
.panels img { display: block; width: 100%; height: auto; }
.panels .map { image-rendering: pixelated; }
.panels figcaption { margin: 0.2rem 0 0; color: var(--soft); font-size: 0.8rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; margin: 0.5rem 0; padding: 0; list-style: none; font-size: 0.8rem; }
.legend i { display: inline-block; width: 0.9rem; height: 0.9rem; margin-right: 0.4rem; border: 1px solid var(--line); border-radius: 0.2rem; vertical-align: -0.1rem; }
.note { margin: 0.5rem 0; max-width: 75ch; color: var(--soft); font-size: 0.875rem; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; align-items: start; }
details.more > summary { padding: 0.35rem 0; cursor: pointer; color: var(--accent); }
@media print { .card, .example { break-inside: avoid; } }
${chartStyle()}
`;
