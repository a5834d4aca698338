import {
  type Chart,
  coordinate,
  downsample,
  line,
  linearScale,
  type Point,
  type Scale,
  text,
  textWidth,
} from './svg.js';

export interface Series {
  readonly name: string;
  /** Ordered by x. */
  readonly points: readonly Point[];
}

interface LineChartOptions {
  readonly title: string;
  readonly xName: string;
  /** With its unit. */
  readonly yName: string;
  readonly series: readonly Series[];
  /** The axis shows at least these values of x. */
  readonly xDomain?: readonly [number, number];
  /** A horizontal line at a value to compare with. */
  readonly mark?: { readonly name: string; readonly y: number } | undefined;
}

const WIDTH = 360;
const HEIGHT = 250;
/** A curve has at most two points for each column of about two pixels. */
const COLUMNS = 160;
const LEGEND_LINE = 17;

/** The smallest and the largest value. `Math.min(...values)` fails for very many values. */
function extent(values: Iterable<number>): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

const fourDigits = (value: number) => String(Number(value.toPrecision(4)));

function describe({ xName, yName, mark }: LineChartOptions, series: readonly Series[]): string {
  const curves = series.map(({ name, points }) => {
    const first = points[0]!;
    const last = points.at(-1)!;
    const [low, high] = extent(points.map(({ y }) => y));
    return (
      `${name}: ${fourDigits(first.y)} at ${xName} ${fourDigits(first.x)}, ${fourDigits(last.y)} at ${xName} ${fourDigits(last.x)}, ` +
      `lowest ${fourDigits(low)}, highest ${fourDigits(high)}.`
    );
  });
  return [`${yName} over ${xName}.`, ...curves, ...(mark ? [`${mark.name}: ${fourDigits(mark.y)}.`] : [])].join(' ');
}

function path(points: readonly Point[], x: Scale, y: Scale): string {
  return points.map((point) => `${coordinate(x.at(point.x))} ${coordinate(y.at(point.y))}`).join('L');
}

/** The places of the legend's entries. An entry that does not fit into a line begins the next one. */
function placeLegend(names: readonly string[]): { readonly x: number; readonly line: number }[] {
  let x = 0;
  let row = 0;
  return names.map((name) => {
    const width = 26 + textWidth(name) + 12;
    if (x > 0 && x + width > WIDTH) {
      x = 0;
      row++;
    }
    const place = { x, line: row };
    x += width;
    return place;
  });
}

/** Curves over common axes; y shows 0. Points that are not finite and empty curves are left out. A curve of one point is a dot. */
export function lineChart(options: LineChartOptions): Chart {
  const { title, xName, yName, xDomain = [], mark } = options;
  const series = options.series
    .map(({ name, points }) => ({
      name,
      points: points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)),
    }))
    .filter(({ points }) => points.length > 0);
  const all = series.flatMap(({ points }) => points);
  if (all.length === 0) throw new RangeError(`No point of "${title}" can be drawn.`);
  const [low, high] = extent([...all.map(({ y }) => y), ...(mark ? [mark.y] : []), 0]);
  const names = [...series.map(({ name }) => name), ...(mark ? [mark.name] : [])];
  const legend = placeLegend(names);
  const legendLines = names.length > 1 ? legend.at(-1)!.line + 1 : 0;
  const top = 22 + legendLines * LEGEND_LINE + 6;
  const bottom = HEIGHT + legendLines * LEGEND_LINE - 34;
  const y = linearScale({ domain: [low, high], range: [bottom, top], count: 5, nice: true });
  const left = Math.max(...y.ticks.map((tick) => textWidth(y.format(tick)))) + 8;
  const across = extent([...all.map((point) => point.x), ...xDomain]);
  const xScale = (right: number) => linearScale({ domain: across, range: [left + 4, right], count: 6, nice: false });
  // Half of the last tick's text may be to the right of the axis.
  const marks = xScale(WIDTH);
  const x = xScale(WIDTH - Math.max(8, textWidth(marks.format(marks.ticks.at(-1)!)) / 2));
  const parts = [text(0, 14, yName, { className: 'name' })];
  if (names.length > 1) {
    names.forEach((name, i) => {
      const place = legend[i]!;
      const height = 22 + place.line * LEGEND_LINE + 10;
      const className = i < series.length ? `curve s${i % 6}` : 'mark';
      parts.push(line(place.x, height - 4, place.x + 20, height - 4, className), text(place.x + 26, height, name));
    });
  }
  for (const tick of y.ticks) {
    parts.push(line(left, y.at(tick), WIDTH, y.at(tick), 'grid'));
    parts.push(text(left - 6, y.at(tick) + 4, y.format(tick), { anchor: 'end' }));
  }
  for (const tick of x.ticks) {
    parts.push(line(x.at(tick), bottom, x.at(tick), bottom + 4, 'axis'));
    parts.push(text(x.at(tick), bottom + 17, x.format(tick), { anchor: 'middle' }));
  }
  parts.push(line(left, bottom, WIDTH, bottom, 'axis'));
  parts.push(text((left + WIDTH) / 2, bottom + 31, xName, { anchor: 'middle' }));
  if (mark) parts.push(line(left, y.at(mark.y), WIDTH, y.at(mark.y), 'mark'));
  series.forEach(({ points }, i) => {
    const drawn = downsample(points, COLUMNS);
    if (drawn.length > 1) parts.push(`<path class="curve s${i % 6}" d="M${path(drawn, x, y)}"/>`);
    // A few points get a dot each.
    if (drawn.length <= 12) {
      for (const point of drawn) {
        const at = `cx="${coordinate(x.at(point.x))}" cy="${coordinate(y.at(point.y))}"`;
        parts.push(`<circle class="f${i % 6}" ${at} r="3"/>`);
      }
    }
  });
  return {
    title,
    description: describe(options, series),
    width: WIDTH,
    height: HEIGHT + legendLines * LEGEND_LINE,
    body: parts.join(''),
  };
}

interface Bar {
  readonly name: string;
  /** Null: "no figure" is written instead. */
  readonly value: number | null;
}

interface BarChartOptions {
  readonly title: string;
  /** With its unit. */
  readonly valueName: string;
  readonly bars: readonly Bar[];
  /** The axis goes from 0 to this. */
  readonly maximum: number;
  /** Vertical lines at values to compare with. */
  readonly marks: readonly { readonly name: string; readonly value: number }[];
}

const BAR_HEIGHT = 18;
/** In characters. A longer name is cut. */
const LONGEST_NAME = 20;

const cut = (name: string) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

/** Horizontal bars, in the given order. */
export function barChart({ title, valueName, bars, maximum, marks }: BarChartOptions): Chart {
  const left = Math.max(...bars.map(({ name }) => textWidth(cut(name)))) + 8;
  // Room for the value of the longest bar.
  const right = WIDTH - 48;
  const at = (value: number) => left + (value / maximum) * (right - left);
  const top = 22 + marks.length * LEGEND_LINE + 6;
  const bottom = top + bars.length * BAR_HEIGHT;
  const parts = [text(0, 14, valueName, { className: 'name' })];
  marks.forEach(({ name, value }, i) => {
    const height = 22 + i * LEGEND_LINE + 10;
    const className = i === 0 ? 'mark' : `curve s${i}`;
    parts.push(line(0, height - 4, 20, height - 4, className), text(26, height, `${name} ${value.toFixed(2)}`));
    parts.push(line(at(value), top - 2, at(value), bottom + 2, className));
  });
  bars.forEach(({ name, value }, i) => {
    const y = top + i * BAR_HEIGHT;
    parts.push(text(left - 8, y + 13, cut(name), { anchor: 'end', className: 'name' }));
    const width = value === null ? 0 : at(value) - left;
    if (width > 0) {
      const size = `width="${coordinate(width)}" height="${BAR_HEIGHT - 5}"`;
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
