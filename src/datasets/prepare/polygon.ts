import type { LabelMap } from '../../data/image.js';

/** A corner of a polygon: column and row of a pixel. */
export type Point = readonly [x: number, y: number];

/** Corners of the smallest polygon that is drawn; Pillow refuses fewer. */
export const FEWEST_CORNERS = 2;

/** Largest coordinate whose differences Pillow can count in 32 bits. */
export const LARGEST_COORDINATE = 2 ** 30;

/** An edge that is not level. */
interface Edge {
  readonly x0: number;
  readonly y0: number;
  /** Columns a row. */
  readonly slope: number;
  readonly top: number;
  readonly bottom: number;
}

const { fround } = Math;

// C's float and double expressions differ in their last bits, and so do these: sums of floats are rounded to floats, those of
// an absolute value (a double in C) are not.
const roundUp = (x: number) => (x >= 0 ? Math.floor(fround(x + 0.5)) : -Math.floor(Math.abs(x) + 0.5));
const roundDown = (x: number) => (x >= 0 ? Math.ceil(fround(x - 0.5)) : -Math.ceil(Math.abs(x) - 0.5));
/** C's roundf: halves away from zero. */
const round = (x: number) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

/** The column in which an edge, or its straight continuation, crosses a row. */
const crossingOf = ({ x0, y0, slope }: Edge, y: number) => fround(fround(fround(y - y0) * slope) + fround(x0));

const endsIn = ({ top, bottom }: Edge, y: number) => y === top || y === bottom;

/** Columns from `start` to `end`, both included, of one row; none where the end comes first. */
function fillRow({ width, data }: LabelMap, y: number, start: number, end: number, value: number): void {
  const first = Math.max(start, 0);
  const last = Math.min(end, width - 1);
  if (first <= last) data.fill(value, y * width + first, y * width + last + 1);
}

/**
 * Where an edge that begins or ends in a row crosses it, so that thin tips have no gaps: where another edge meets it there and
 * both lean away to the same side by more than a pixel a row, the corner is moved next to them.
 * Only edges before it are looked at, in the order of the corners.
 */
function joinedCorner(edges: readonly Edge[], index: number, y: number): number {
  const edge = edges[index]!;
  const x = crossingOf(edge, y);
  const next = y === edge.bottom ? y - 1 : y + 1;
  for (let k = 0; k < index; k++) {
    const other = edges[k]!;
    if (!endsIn(other, y) || other.slope === 0 || round(x) !== round(crossingOf(other, y))) continue;
    if (next < other.top || next > other.bottom) continue;
    const here = crossingOf(edge, next);
    const there = crossingOf(other, next);
    if (x > fround(here + 1) && x > fround(there + 1)) return fround(round(Math.max(here, there)) + 1);
    if (x < fround(here - 1) && x < fround(there - 1)) return fround(round(Math.min(here, there)) - 1);
    return x;
  }
  return x;
}

/**
 * Fills a polygon as `ImageDraw.polygon(points, fill)` of Pillow 11.2.1 to 12.3 does on x86-64, pixel for pixel, since that is what
 * Cityscapes' own tools draw with: corners are cut to whole pixels, level edges are drawn, and in each row the pixels are
 * filled between the first and second, third and fourth … crossing of the other edges. An edge that ends in a row (other than
 * the polygon's last) crosses it twice, so that a corner between an edge above and one below counts three times and the pairing
 * stays right. Crossings are computed in single precision; halves are rounded away from zero at the left end and towards
 * zero at the right one, and a span that this turns around is empty.
 * @param points At least `FEWEST_CORNERS`, of coordinates up to ±`LARGEST_COORDINATE`.
 */
export function fillPolygon(image: LabelMap, points: readonly Point[], value: number): void {
  const corners = points.map(([x, y]) => [Math.trunc(x), Math.trunc(y)] as const);
  const edges: Edge[] = [];
  let top = Number.POSITIVE_INFINITY;
  let lowest = 0;
  for (const [i, [x0, y0]] of corners.entries()) {
    const [x1, y1] = corners[(i + 1) % corners.length]!;
    // Where the last corner is the first, nothing is left to close.
    if (i === corners.length - 1 && x0 === x1 && y0 === y1) break;
    top = Math.min(top, y0, y1);
    lowest = Math.max(lowest, y0, y1);
    if (y0 === y1) {
      if (y0 >= 0 && y0 < image.height) fillRow(image, y0, Math.min(x0, x1), Math.max(x0, x1), value);
      continue;
    }
    const slope = fround(fround(x1 - x0) / fround(y1 - y0));
    edges.push({ x0, y0, slope, top: Math.min(y0, y1), bottom: Math.max(y0, y1) });
  }

  const last = Math.min(lowest, image.height - 1);
  const crossings: number[] = [];
  for (let y = Math.max(top, 0); y <= last; y++) {
    crossings.length = 0;
    for (const [index, edge] of edges.entries()) {
      if (y < edge.top || y > edge.bottom) continue;
      if (y === edge.bottom && y < lowest) {
        const x = crossingOf(edge, y);
        crossings.push(x, x);
      } else if (endsIn(edge, y) && edge.slope !== 0) crossings.push(joinedCorner(edges, index, y));
      else crossings.push(crossingOf(edge, y));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 1; i < crossings.length; i += 2) {
      fillRow(image, y, roundUp(crossings[i - 1]!), roundDown(crossings[i]!), value);
    }
  }
}
