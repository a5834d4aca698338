import { escapeHtml } from '../../tables/html.js';

/** Colours are hexadecimal, "#rrggbb". */
interface ChartColours {
  readonly paper: string;
  readonly ink: string;
  /** Of axes' texts. */
  readonly soft: string;
  readonly grid: string;
  /** Of curves and bars, in their order; the same order of hues in both themes. */
  readonly series: readonly string[];
  /** Of the heat map, none to all. */
  readonly heat: readonly [from: string, to: string];
}

export type ThemeName = 'light' | 'dark';

/** Texts have a contrast of at least 4.5 to the paper, curves of at least 3 (WCAG 2.2, 1.4.3 and 1.4.11). */
export const CHART_COLOURS: Readonly<Record<ThemeName, ChartColours>> = {
  light: {
    paper: '#ffffff',
    ink: '#1c1d1f',
    soft: '#5d6167',
    grid: '#e3e5e7',
    series: ['#2458c5', '#b3470f', '#14785a', '#8a3d9c', '#6b6100', '#9c2a4f'],
    heat: ['#ffffff', '#123a8c'],
  },
  dark: {
    paper: '#1d1f22',
    ink: '#e9eaec',
    soft: '#a2a7ae',
    grid: '#34373c',
    series: ['#8fb1ff', '#ffab70', '#6fd3ae', '#d9a2f0', '#d6c65a', '#ff9dbb'],
    heat: ['#1d1f22', '#b9cfff'],
  },
};

/** Steps of the heat map, from none to all. */
export const HEAT_LEVELS = 16;

function channels(colour: string): readonly number[] {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

/** The colour a part of the way from one to another. */
function mix(from: string, to: string, part: number): string {
  const end = channels(to);
  const mixed = channels(from).map((value, i) => Math.round(value + (end[i]! - value) * part));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** Colour of a level of the heat map, 0 to `HEAT_LEVELS`. */
export function heatColour({ heat }: ChartColours, level: number): string {
  return mix(heat[0], heat[1], level / HEAT_LEVELS);
}

/** Relative luminance (WCAG 2.2). */
function luminance(colour: string): number {
  const [red, green, blue] = channels(colour).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

/** Contrast of two colours, 1 to 21 (WCAG 2.2). */
export function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

/** Black or white, whichever is read better on a colour; one of them always has a contrast of √21 ≈ 4.58 or more. */
export function textColourOn(colour: string): string {
  return contrast('#000000', colour) >= contrast('#ffffff', colour) ? '#000000' : '#ffffff';
}

/** A chart, drawn in units that are pixels at its natural size. */
export interface Chart {
  readonly title: string;
  /** What a reader who does not see it should know: shape, extremes, units. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  /** SVG elements, escaped. */
  readonly body: string;
}

/** Width of a text in a font of 12 pixels, at most: digits are 7.6 pixels wide in the widest of the usual fonts. */
export function textWidth(text: string): number {
  return Math.ceil(text.length * 7.2);
}

/** A coordinate with two decimals, without those that are zero. */
export function coordinate(value: number): string {
  return String(Number(value.toFixed(2)));
}

interface TextOptions {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly className?: string;
  /** Read from the bottom up; then x and y are those of the turned axes, (−y, x) of the picture's. */
  readonly turned?: boolean;
}

export function text(x: number, y: number, content: string, options: TextOptions = {}): string {
  const { anchor = 'start', className, turned = false } = options;
  const attributes = [
    anchor === 'start' ? '' : ` text-anchor="${anchor}"`,
    className === undefined ? '' : ` class="${className}"`,
    turned ? ' transform="rotate(-90)"' : '',
  ].join('');
  return `<text x="${coordinate(x)}" y="${coordinate(y)}"${attributes}>${escapeHtml(content)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, className: string): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map(coordinate);
  return `<path class="${className}" d="M${a} ${b}L${c} ${d}"/>`;
}

/**
 * The element of a chart, as it stands in a page: named and described for readers who do not see it.
 * @param id Unique in the page.
 */
export function svgElement({ title, description, width, height, body }: Chart, id: string): string {
  return (
    `<svg class="chart" role="img" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `aria-labelledby="${id}-t ${id}-d"><title id="${id}-t">${escapeHtml(title)}</title>` +
    `<desc id="${id}-d">${escapeHtml(description)}</desc>${body}</svg>`
  );
}

/** Of a chart in the page; "DejaVu Sans" is what a converter without fonts of a desktop usually has. */
const FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";

/** Dashes tell curves apart where colours do not. */
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '10 4', '4 2'];

function rules(colours: ChartColours): string {
  const { paper, ink, soft, grid, series } = colours;
  return [
    `.chart{font-family:${FONT};font-size:12px}`,
    `.chart text{fill:${soft}}.chart .name{fill:${ink}}`,
    `.chart .grid{stroke:${grid}}.chart .axis{stroke:${soft}}.chart .mark{stroke:${ink};stroke-dasharray:4 3}`,
    // Read where a line crosses it, too.
    `.chart .halo{stroke:${paper};stroke-width:4px;paint-order:stroke}`,
    '.chart .curve{fill:none;stroke-width:1.5;stroke-linejoin:round}',
    ...series.map((colour, i) => {
      const dash = DASHES[i] === '' ? '' : `;stroke-dasharray:${DASHES[i]}`;
      return `.chart .s${i}{stroke:${colour}${dash}}.chart .f${i}{fill:${colour}}`;
    }),
    ...Array.from({ length: HEAT_LEVELS + 1 }, (_, level) => {
      const colour = heatColour(colours, level);
      return `.chart .h${level}{fill:${colour}}.chart .t${level}{fill:${textColourOn(colour)}}`;
    }),
  ].join('\n');
}

/** Style of all charts of a page, which follows the reader's choice of light or dark. */
export function chartStyle(): string {
  return `${rules(CHART_COLOURS.light)}\n@media (prefers-color-scheme: dark){\n${rules(CHART_COLOURS.dark)}\n}`;
}

/** Around a chart that is a file of its own, and above it for its title. */
const MARGIN = 16;
const TITLE = 26;

/** A chart as a file of its own: with its title, on paper. Of no theme: it follows the reader's choice, as in the page. */
export function standaloneSvg(chart: Chart, theme: ThemeName | null): string {
  const paper = (name: ThemeName) =>
    `.chart .paper{fill:${CHART_COLOURS[name].paper}}.chart .title{font-size:14px;font-weight:600}`;
  const style =
    theme === null
      ? `${paper('light')}\n@media (prefers-color-scheme: dark){${paper('dark')}}\n${chartStyle()}`
      : `${paper(theme)}\n${rules(CHART_COLOURS[theme])}`;
  const framed = {
    ...chart,
    width: chart.width + 2 * MARGIN,
    height: chart.height + 2 * MARGIN + TITLE,
    body: [
      `<style>${style}</style><rect class="paper" width="100%" height="100%"/>`,
      text(MARGIN, MARGIN + 12, chart.title, { className: 'name title' }),
      `<g transform="translate(${MARGIN} ${MARGIN + TITLE})">${chart.body}</g>`,
    ].join(''),
  };
  return svgElement(framed, 'chart').replace(/^<svg /, '<svg xmlns="http://www.w3.org/2000/svg" ');
}
