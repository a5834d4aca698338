import { escapeHtml } from '../../tables/html.js';

/** A linear map from values to places in a picture, with the ticks of its axis. */
export interface Scale {
  readonly domain: readonly [low: number, high: number];
  readonly ticks: readonly number[];
  /** The place of a value. */
  readonly at: (value: number) => number;
  /** All ticks of a scale have the same number of decimals. */
  readonly format: (value: number) => string;
}

interface ScaleOptions {
  /** The smallest and the largest value. */
  readonly domain: readonly [number, number];
  /** Places of the domain's ends. */
  readonly range: readonly [number, number];
  /** About how many ticks. */
  readonly count: number;
  /** Widen the domain to the next ticks. */
  readonly nice: boolean;
}

/** The distance of 1, 2 or 5 times a power of ten that divides a span into about `count` parts. */
export function tickStep(span: number, count: number): number {
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  // Boundaries are the geometric means of neighbouring steps: √2, √10, √50.
  const error = raw / power;
  if (error >= Math.sqrt(50)) return 10 * power;
  if (error >= Math.sqrt(10)) return 5 * power;
  return error >= Math.SQRT2 ? 2 * power : power;
}

/** How many decimals multiples of a step need. */
function decimalsOf(step: number): number {
  return Math.min(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), 100);
}

function formatter(step: number, largest: number): (value: number) => string {
  const minus = (text: string) => text.replaceAll('-', '−');
  if (largest < 1e-3) {
    const digits = Math.max(0, Math.floor(Math.log10(largest) + 1e-9) - Math.floor(Math.log10(step) + 1e-9));
    return (value) => (value === 0 ? '0' : minus(value.toExponential(digits)));
  }
  if (step >= 1000) return (value) => (value === 0 ? '0' : minus(`${Number((value / 1000).toFixed(6))}k`));
  const decimals = decimalsOf(step);
  return (value) => minus(value.toFixed(decimals));
}

/** Smaller steps would need more decimals than `toFixed` has. */
const LEAST_EXTENT = 1e-90;

/** A domain without extent is widened around its value. */
export function linearScale({ domain, range, count, nice }: ScaleOptions): Scale {
  let [low, high] = domain;
  const largest = Math.max(Math.abs(low), Math.abs(high));
  if (high - low <= Math.max(1e-12 * largest, LEAST_EXTENT)) {
    const around = largest < LEAST_EXTENT ? 1 : largest / 2;
    low -= around;
    high += around;
  }
  const step = tickStep(high - low, count);
  // If `low` is a tick already, rounding of low / step must not add another.
  const slack = 1e-9;
  if (nice) {
    low = Math.floor(low / step + slack) * step;
    high = Math.ceil(high / step - slack) * step;
  }
  const first = Math.ceil(low / step - slack);
  const last = Math.floor(high / step + slack);
  const digits = decimalsOf(step);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(digits)));
  const [from, to] = range;
  return {
    domain: [low, high],
    ticks,
    at: (value) => from + ((value - low) / (high - low)) * (to - from),
    format: formatter(step, Math.max(Math.abs(low), Math.abs(high))),
  };
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * Keeps at most `2 · buckets + 2` points: the first, the last, and the lowest and highest in each of `buckets` equal parts of x. So no
 * peak is lost in a picture of that many columns.
 * @param points Ordered by x.
 */
export function downsample(points: readonly Point[], buckets: number): readonly Point[] {
  const { length } = points;
  if (length <= 2 * buckets + 2) return points;
  const start = points[0]!.x;
  const width = (points[length - 1]!.x - start) / buckets;
  const kept = new Set([0, length - 1]);
  for (let at = 0; at < length; ) {
    const bucket = bucketOf(points[at]!.x, start, width, buckets);
    let low = at;
    let high = at;
    for (; at < length && bucketOf(points[at]!.x, start, width, buckets) === bucket; at++) {
      if (points[at]!.y < points[low]!.y) low = at;
      if (points[at]!.y > points[high]!.y) high = at;
    }
    kept.add(low).add(high);
  }
  return [...kept].sort((a, b) => a - b).map((i) => points[i]!);
}

function bucketOf(x: number, start: number, width: number, buckets: number): number {
  return width === 0 ? 0 : Math.min(Math.floor((x - start) / width), buckets - 1);
}

/** Colours are hexadecimal, "#rrggbb". */
interface ChartColours {
  readonly paper: string;
  readonly ink: string;
  /** For the text of axes. */
  readonly soft: string;
  readonly grid: string;
  /** For curves and bars, in order. Both themes have the same order of hues. */
  readonly series: readonly string[];
  /** Ends of the heat map's scale: a share of 0 and of 1. */
  readonly heat: readonly [from: string, to: string];
}

export type ThemeName = 'light' | 'dark';

/** Contrast with the paper: text at least 4.5, curves at least 3 (WCAG 2.2, 1.4.3 and 1.4.11). */
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

/** Colour steps of the heat map above 0. */
export const HEAT_LEVELS = 16;

function channels(colour: string): readonly number[] {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

/** @param level 0 to `HEAT_LEVELS`. */
export function heatColour({ heat: [from, to] }: ChartColours, level: number): string {
  const end = channels(to);
  const mixed = channels(from).map((value, i) => Math.round(value + ((end[i]! - value) * level) / HEAT_LEVELS));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
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
export function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

/** Black or white, whichever has more contrast: always at least √21 ≈ 4.58. */
export function textColourOn(colour: string): string {
  return contrast('#000000', colour) >= contrast('#ffffff', colour) ? '#000000' : '#ffffff';
}

/** A chart. At its natural size a unit is a pixel. */
export interface Chart {
  readonly title: string;
  /** For screen readers: shape, extremes, units. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  /** Escaped SVG elements. */
  readonly body: string;
}

/** About the width of a text in a font of 12 pixels. Digits are 7.6 pixels wide in the widest of the usual fonts. */
export function textWidth(text: string): number {
  return Math.ceil(text.length * 7.2);
}

/** At most two decimals. */
export function coordinate(value: number): string {
  return String(Number(value.toFixed(2)));
}

interface TextOptions {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly className?: string;
  /** Read from the bottom up. Then x and y are in the turned axes: (−y, x) of the picture. */
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

/** @param id Unique in the page. */
export function svgElement({ title, description, width, height, body }: Chart, id: string): string {
  return (
    `<svg class="chart" role="img" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `aria-labelledby="${id}-t ${id}-d"><title id="${id}-t">${escapeHtml(title)}</title>` +
    `<desc id="${id}-d">${escapeHtml(description)}</desc>${body}</svg>`
  );
}

/** "DejaVu Sans" is for converters to PNG, which often have no other font. */
const FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";

/** They distinguish curves for colour-blind readers. */
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '10 4', '4 2'];

function rules(colours: ChartColours): string {
  const { paper, ink, soft, grid, series } = colours;
  return [
    `.chart{font-family:${FONT};font-size:12px}`,
    `.chart text{fill:${soft}}.chart .name{fill:${ink}}`,
    `.chart .grid{stroke:${grid}}.chart .axis{stroke:${soft}}.chart .mark{stroke:${ink};stroke-dasharray:4 3}`,
    // Keeps text legible on a line.
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

/** Style of all charts of a page. It follows the device's choice of light or dark. */
export function chartStyle(): string {
  return `${rules(CHART_COLOURS.light)}\n@media (prefers-color-scheme: dark){\n${rules(CHART_COLOURS.dark)}\n}`;
}

const MARGIN = 16;
const TITLE_HEIGHT = 26;

/** A chart as a file, with its title and a background. Without a theme it follows the device's choice. */
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
    height: chart.height + 2 * MARGIN + TITLE_HEIGHT,
    body: [
      `<style>${style}</style><rect class="paper" width="100%" height="100%"/>`,
      text(MARGIN, MARGIN + 12, chart.title, { className: 'name title' }),
      `<g transform="translate(${MARGIN} ${MARGIN + TITLE_HEIGHT})">${chart.body}</g>`,
    ].join(''),
  };
  return svgElement(framed, 'chart').replace(/^<svg /, '<svg xmlns="http://www.w3.org/2000/svg" ');
}
