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
