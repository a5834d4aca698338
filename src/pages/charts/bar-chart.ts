import { type Chart, coordinate, line, text, textWidth } from './svg.js';

export interface Bar {
  readonly name: string;
  /** Null: there is no figure, which is said. */
  readonly value: number | null;
}

export interface BarChartOptions {
  readonly title: string;
  /** What the values are, with their unit. */
  readonly valueName: string;
  readonly bars: readonly Bar[];
  /** The end of the axis, which begins at 0. */
  readonly maximum: number;
  /** Values to compare with, drawn across the bars. */
  readonly marks: readonly { readonly name: string; readonly value: number }[];
}

const WIDTH = 360;
const BAR = 18;
/** A longer name is cut. */
const LONGEST_NAME = 20;

const cut = (name: string) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

/** Horizontal bars, one below the other, in the order given. */
export function barChart({ title, valueName, bars, maximum, marks }: BarChartOptions): Chart {
  const left = Math.max(...bars.map(({ name }) => textWidth(cut(name)))) + 8;
  // Room for the value of the longest bar.
  const right = WIDTH - 48;
  const at = (value: number) => left + (value / maximum) * (right - left);
  const top = 22 + marks.length * 17 + 6;
  const bottom = top + bars.length * BAR;
  const parts = [text(0, 14, valueName, { className: 'name' })];
  marks.forEach(({ name, value }, i) => {
    const height = 22 + i * 17 + 10;
    const className = i === 0 ? 'mark' : `curve s${i}`;
    parts.push(line(0, height - 4, 20, height - 4, className), text(26, height, `${name} ${value.toFixed(2)}`));
    parts.push(line(at(value), top - 2, at(value), bottom + 2, className));
  });
  bars.forEach(({ name, value }, i) => {
    const y = top + i * BAR;
    parts.push(text(left - 8, y + 13, cut(name), { anchor: 'end', className: 'name' }));
    const width = value === null ? 0 : at(value) - left;
    if (width > 0) {
      const size = `width="${coordinate(width)}" height="${BAR - 5}"`;
      parts.push(`<rect class="f0" x="${coordinate(left)}" y="${coordinate(y + 2)}" ${size} rx="2"/>`);
    }
    parts.push(text(left + width + 5, y + 13, value === null ? 'no figure' : value.toFixed(2), { className: 'halo' }));
  });
  parts.push(line(left, top - 2, left, bottom + 2, 'axis'));
  const values = bars.map(({ name, value }) => `${name} ${value === null ? 'no figure' : value.toFixed(2)}`).join(', ');
  const compared = marks.map(({ name, value }) => `${name}: ${value.toFixed(2)}.`).join(' ');
  return {
    title,
    description: `${valueName}. ${compared}${compared === '' ? '' : ' '}${values}.`,
    width: WIDTH,
    height: bottom + 6,
    body: parts.join(''),
  };
}
