import { escapeHtml } from '../html.js';

/** A cell of a table: a text, a number (right-aligned), or a link to a place in the page or a published file. */
export type CellContent = string | { readonly number: string } | { readonly link: string; readonly text: string };

export interface TableContent {
  /** What the table is, for readers who do not see it. */
  readonly name: string;
  readonly head: readonly string[];
  /** The first cell heads its row. */
  readonly body: readonly (readonly CellContent[])[];
}

function inner(cell: CellContent): string {
  if (typeof cell === 'string') return escapeHtml(cell);
  if ('number' in cell) return escapeHtml(cell.number);
  return `<a href="${escapeHtml(cell.link)}">${escapeHtml(cell.text)}</a>`;
}

const isNumber = (cell: CellContent | undefined) => typeof cell === 'object' && 'number' in cell;

/** A table that scrolls sideways, by keyboard too, where it is too wide. */
export function table({ name, head, body }: TableContent): string {
  const first = body[0];
  const heads = head.map(
    (title, i) => `<th scope="col"${isNumber(first?.[i]) ? ' class="number"' : ''}>${escapeHtml(title)}</th>`,
  );
  const rows = body.map((cells) => {
    const [header, ...rest] = cells;
    const data = rest.map((cell) => `<td class="${isNumber(cell) ? 'number' : 'text'}">${inner(cell)}</td>`);
    return `<tr><th scope="row">${inner(header!)}</th>${data.join('')}</tr>`;
  });
  const label = escapeHtml(name);
  return `<div class="scroll" role="region" tabindex="0" aria-label="${label}"><table>
<thead><tr>${heads.join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody></table></div>`;
}

/** Terms with their descriptions; those without one are left out. */
export function facts(lines: readonly (readonly [term: string, text: string | null])[]): string {
  const shown = lines.filter(([, text]) => text !== null);
  return `<dl>\n${shown.map(([term, text]) => `<div><dt>${escapeHtml(term)}</dt><dd>${escapeHtml(text!)}</dd></div>`).join('\n')}\n</dl>`;
}
