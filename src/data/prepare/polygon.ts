import type { LabelMap } from '../image.js';

/** A corner of a polygon: column and row of a pixel. */
export type Point = readonly [x: number, y: number];

interface Edge {
  readonly x0: number;
  readonly y0: number;
  /** Columns a row. */
  readonly slope: number;
  readonly top: number;
  readonly bottom: number;
}

const halfAwayFromZero = (x: number) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
const halfTowardsZero = (x: number) => Math.sign(x) * Math.ceil(Math.abs(x) - 0.5);

/** Columns from `start` to `end`, both included, of one row. */
function fillRow({ width, data }: LabelMap, y: number, start: number, end: number, value: number): void {
  const first = Math.max(start, 0);
  const last = Math.min(end, width - 1);
  if (first <= last) data.fill(value, y * width + first, y * width + last + 1);
}

/**
 * Fills a polygon as Pillow's `ImageDraw.polygon(points, fill)` does, pixel for pixel, since that is what Cityscapes' own tools
 * draw with: corners are cut to whole pixels, outline and corners belong to the polygon, and in each row the pixels are
 * filled between the first and second, third and fourth … crossing of its edges. An edge that ends in a row (other than the
 * polygon's last) crosses it twice, so that a corner between an edge above and one below counts three times and the pairing
 * stays right. Crossings are computed in single precision; halves are rounded away from zero at the left end and
 * towards zero at the right one, and where that turns a span around, both its pixels are filled.
 */
export function fillPolygon(image: LabelMap, points: readonly Point[], value: number): void {
  const corners = points.map(([x, y]) => [Math.trunc(x), Math.trunc(y)] as const);
  const edges: Edge[] = [];
  const level: { y: number; left: number; right: number }[] = [];
  let top = Number.POSITIVE_INFINITY;
  let lowest = Number.NEGATIVE_INFINITY;
  for (const [i, [x0, y0]] of corners.entries()) {
    const [x1, y1] = corners[(i + 1) % corners.length]!;
    top = Math.min(top, y0);
    lowest = Math.max(lowest, y0);
    if (y0 === y1) level.push({ y: y0, left: Math.min(x0, x1), right: Math.max(x0, x1) });
    else {
      const slope = Math.fround((x1 - x0) / (y1 - y0));
      edges.push({ x0, y0, slope, top: Math.min(y0, y1), bottom: Math.max(y0, y1) });
    }
  }
  for (const { y, left, right } of level) if (y >= 0 && y < image.height) fillRow(image, y, left, right, value);

  const last = Math.min(lowest, image.height - 1);
  const crossings: number[] = [];
  for (let y = Math.max(top, 0); y <= last; y++) {
    crossings.length = 0;
    for (const { x0, y0, slope, top: first, bottom } of edges) {
      if (y < first || y > bottom) continue;
      const x = Math.fround(Math.fround((y - y0) * slope) + x0);
      crossings.push(x);
      if (y === bottom && y < lowest) crossings.push(x);
    }
    crossings.sort((a, b) => a - b);
    for (let i = 1; i < crossings.length; i += 2) {
      const start = halfAwayFromZero(crossings[i - 1]!);
      const end = halfTowardsZero(crossings[i]!);
      fillRow(image, y, Math.min(start, end), Math.max(start, end), value);
    }
  }
}
