import { type Chart, coordinate, HEAT_LEVELS, line, text, textWidth } from './svg.js';

interface HeatMapOptions {
  readonly title: string;
  readonly names: readonly string[];
  /** [row][column]. */
  readonly counts: readonly (readonly number[])[];
  readonly rowName: string;
  readonly columnName: string;
}

/** The cells of more classes are too small for names. */
const MOST_NAMED = 30;
const WIDTH = 360;

/** Each row divided by its sum. An empty row stays 0. */
export function rowShares(counts: readonly (readonly number[])[]): number[][] {
  return counts.map((row) => {
    const sum = row.reduce((total, count) => total + count, 0);
    return row.map((count) => (sum === 0 ? 0 : count / sum));
  });
}

const KEY_CELL = 8;

/** @param emptyRow Explains the line through an empty row; null if there is none. */
function colourKey(emptyRow: string | null): string {
  const left = 28;
  const right = left + KEY_CELL * (HEAT_LEVELS + 1);
  const y = 24;
  const cells = Array.from({ length: HEAT_LEVELS + 1 }, (_, level) => {
    return `<rect class="h${level}" x="${left + KEY_CELL * level}" y="${y}" width="${KEY_CELL}" height="10"/>`;
  });
  return [
    text(left - 5, y + 9, '0', { anchor: 'end' }),
    ...cells,
    `<rect class="axis" fill="none" x="${left}" y="${y}" width="${right - left}" height="10"/>`,
    text(right + 5, y + 9, '100'),
    ...(emptyRow === null
      ? []
      : [line(right + 40, y + 5, right + 60, y + 5, 'axis'), text(right + 65, y + 9, emptyRow)]),
  ].join('');
}

/** Only a share of exactly 0 has level 0. */
function levelOf(share: number): number {
  return share === 0 ? 0 : Math.max(1, Math.round(share * HEAT_LEVELS));
}

/**
 * A square of cells, as dark as their shares of the row. All cells of a level are one path, which keeps a matrix of 150 classes small.
 * Percentages and names are drawn if there is room.
 */
export function heatMap({ title, names, counts, rowName, columnName }: HeatMapOptions): Chart {
  const shares = rowShares(counts);
  const classes = names.length;
  const named = classes <= MOST_NAMED;
  const longest = named ? Math.min(120, Math.max(...names.map((name) => textWidth(name) * 0.86))) : 0;
  const left = named ? longest + 24 : 20;
  const cell = (WIDTH - left - 2) / classes;
  const numbered = cell >= 17;
  const fontSize = Math.min(11, cell * 0.62);
  const top = 44;
  const paths = Array.from({ length: HEAT_LEVELS + 1 }, () => [] as string[]);
  const numbers: string[] = [];
  for (const [row, cells] of shares.entries()) {
    for (const [column, share] of cells.entries()) {
      const level = levelOf(share);
      if (level > 0) paths[level]!.push(`M${column} ${row}h1v1h-1z`);
      const percent = Math.round(share * 100);
      if (!numbered || percent === 0) continue;
      const place = `x="${coordinate(left + (column + 0.5) * cell)}" y="${coordinate(top + (row + 0.5) * cell + fontSize * 0.36)}"`;
      numbers.push(`<text class="t${level}" ${place}>${percent}</text>`);
    }
  }
  const side = coordinate(cell * classes);
  const emptyRows = shares.flatMap((row, i) => (row.every((share) => share === 0) ? [i] : []));
  const strokes = emptyRows.map((row) => `M${coordinate(left)} ${coordinate(top + (row + 0.5) * cell)}h${side}`);
  const cells = paths.map((path, level) => (path.length === 0 ? '' : `<path class="h${level}" d="${path.join('')}"/>`));
  const bottom = top + cell * classes;
  const labels = names.map((name, i) => {
    const middle = (i + 0.5) * cell;
    const shown = textWidth(name) * 0.86 > longest ? `${name.slice(0, 15)}…` : name;
    const beside = text(left - 5, top + middle + 4, shown, { anchor: 'end', className: 'name' });
    const below = text(-bottom - 5, left + middle + 4, shown, { anchor: 'end', className: 'name', turned: true });
    return `${beside}${below}`;
  });
  const rowMiddle = top + (cell * classes) / 2;
  const below = bottom + (named ? longest + 24 : 18);
  return {
    title,
    description: describe({ names, counts: shares, rowName, columnName }, emptyRows),
    width: WIDTH,
    height: Math.ceil(below + 4),
    body: [
      text(0, 14, `Percent of each ${rowName}’s pixels`, { className: 'name' }),
      colourKey(emptyRows.length > 0 ? `no pixel of this ${rowName}` : null),
      `<g transform="translate(${coordinate(left)} ${top}) scale(${Number(cell.toFixed(6))})" shape-rendering="crispEdges">${cells.join('')}</g>`,
      `<rect class="axis" fill="none" x="${coordinate(left)}" y="${top}" width="${side}" height="${side}"/>`,
      ...(strokes.length === 0 ? [] : [`<path class="axis" stroke-opacity="0.5" d="${strokes.join('')}"/>`]),
      ...(numbers.length === 0
        ? []
        : [`<g text-anchor="middle" style="font-size:${coordinate(fontSize)}px">${numbers.join('')}</g>`]),
      ...(named
        ? [`<g style="font-size:${coordinate(Math.min(10.5, Math.max(7, cell * 0.75)))}px">${labels.join('')}</g>`]
        : []),
      text(-rowMiddle, 11, rowName, { anchor: 'middle', turned: true }),
      text(left + (cell * classes) / 2, below, columnName, { anchor: 'middle' }),
    ].join(''),
  };
}

interface Confused {
  readonly label: string;
  readonly prediction: string;
  /** Of the label's pixels, 0 to 1. */
  readonly share: number;
}

/** The largest non-zero shares off the diagonal, largest first. */
export function mostConfused(
  names: readonly string[],
  counts: readonly (readonly number[])[],
  most: number,
): Confused[] {
  const pairs = rowShares(counts).flatMap((row, label) =>
    row.flatMap((share, prediction) =>
      label === prediction || share === 0 ? [] : [{ label: names[label]!, prediction: names[prediction]!, share }],
    ),
  );
  return pairs.sort((a, b) => b.share - a.share).slice(0, most);
}

/** @param counts Here shares. */
function describe(
  { names, counts: shares, rowName, columnName }: Omit<HeatMapOptions, 'title'>,
  emptyRows: readonly number[],
): string {
  const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
  const right = names
    .map((name, i) => `${name} ${emptyRows.includes(i) ? `no ${rowName}` : percent(shares[i]![i]!)}`)
    .join(', ');
  const wrong = mostConfused(names, shares, 5)
    .map(({ label, prediction, share }) => `${label} as ${prediction} ${percent(share)}`)
    .join(', ');
  return `Share of each ${rowName} (rows) that went to each ${columnName} (columns). Right: ${right}. Most often wrong: ${wrong === '' ? 'nothing' : wrong}.`;
}
