import { escapeHtml } from '../html.js';

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
