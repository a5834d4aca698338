import type { LabelMap } from '../../data/image.js';

/** A corner of a polygon: column and row. */
export type Corner = readonly [x: number, y: number];

/** Pillow refuses a polygon with fewer corners. */
export const FEWEST_CORNERS = 2;

/** Largest coordinate of which Pillow can compute differences in 32 bits. */
export const LARGEST_COORDINATE = 2 ** 30;

/** An edge that is not horizontal. */
interface Edge {
  readonly x0: number;
  readonly y0: number;
  /** In columns per row. */
  readonly slope: number;
  readonly top: number;
  readonly bottom: number;
}

const { fround } = Math;

// As in C, sums of floats are rounded to floats, but those with an absolute value (a double) are not.
const roundUp = (x: number) => (x >= 0 ? Math.floor(fround(x + 0.5)) : -Math.floor(Math.abs(x) + 0.5));
const roundDown = (x: number) => (x >= 0 ? Math.ceil(fround(x - 0.5)) : -Math.ceil(Math.abs(x) - 0.5));
/** C's roundf: halves away from zero. */
const round = (x: number) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

/** The column in which an edge, or the line through it, crosses a row. */
const crossingOf = ({ x0, y0, slope }: Edge, y: number) => fround(fround(fround(y - y0) * slope) + fround(x0));

const endsIn = ({ top, bottom }: Edge, y: number) => y === top || y === bottom;

/** Fills a row from column `start` to `end`, both included; does nothing if `end` is less. */
function fillRow({ width, data }: LabelMap, y: number, start: number, end: number, value: number): void {
  const first = Math.max(start, 0);
  const last = Math.min(end, width - 1);
  if (first <= last) data.fill(value, y * width + first, y * width + last + 1);
}

/**
 * The column in which an edge that begins or ends in a row crosses it. If an earlier edge, in the order of the corners, meets it
 * there and both lean to the same side by more than a pixel per row, the crossing is moved next to them: thin tips have no gaps.
 */
function joinedCorner(edges: readonly Edge[], index: number, y: number): number {
  const edge = edges[index]!;
  const x = crossingOf(edge, y);
  const next = y === edge.bottom ? y - 1 : y + 1;
  for (let k = 0; k < index; k++) {
    const earlier = edges[k]!;
    if (!endsIn(earlier, y) || earlier.slope === 0 || round(x) !== round(crossingOf(earlier, y))) continue;
    if (next < earlier.top || next > earlier.bottom) continue;
    const [a, b] = [crossingOf(edge, next), crossingOf(earlier, next)];
    if (x > fround(a + 1) && x > fround(b + 1)) return fround(round(Math.max(a, b)) + 1);
    if (x < fround(a - 1) && x < fround(b - 1)) return fround(round(Math.min(a, b)) - 1);
    return x;
  }
  return x;
}

/**
 * Fills a polygon exactly as `ImageDraw.polygon(points, fill)` of Pillow 11.2.1 to 12.3 does on x86-64, since Cityscapes' own
 * tools draw with it. Corners are cut to whole pixels, and horizontal edges are drawn. In each row, the pixels are filled between
 * the first and second, third and fourth … crossing of the other edges. An edge that ends in a row, unless it is the polygon's
 * last row, crosses it twice: a corner between an edge above and one below then counts three times, and the pairs stay right.
 * Crossings are computed in single precision. Halves are rounded away from zero at the left end and towards zero at the right
 * end; a span whose ends are then reversed is empty.
 * @param points At least `FEWEST_CORNERS`, with coordinates up to ±`LARGEST_COORDINATE`.
 */
export function fillPolygon(image: LabelMap, points: readonly Corner[], value: number): void {
  const corners = points.map(([x, y]) => [Math.trunc(x), Math.trunc(y)] as const);
  const edges: Edge[] = [];
  let top = Number.POSITIVE_INFINITY;
  let lowest = 0;
  for (const [i, [x0, y0]] of corners.entries()) {
    const [x1, y1] = corners[(i + 1) % corners.length]!;
    // A last corner that equals the first adds no edge.
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
