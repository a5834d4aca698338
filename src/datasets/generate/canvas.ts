import { IGNORE_INDEX, type Size } from '../../data/image.js';
import { Draws, Purpose } from '../../support/random.js';

export type Colour = readonly [red: number, green: number, blue: number];
/** A point in pixels: column, row. Pixel (x, y) covers [x, x + 1) × [y, y + 1). */
export type CanvasPoint = readonly [x: number, y: number];

/** A regular grid of cells in a second colour, such as windows on a front or bars in a fence. */
export interface Grid {
  readonly colour: Colour;
  /** Of each column of the canvas: 1 if it is within a cell. */
  readonly columns: Uint8Array;
  /** Height of a pixel in the units of the pattern: base[x] + row · slope[x]. */
  readonly base: Float32Array;
  readonly slope: Float32Array;
  /** Cells repeat every `period` units of height and take the first `filled` of them. */
  readonly period: number;
  readonly filled: number;
}

/** How a shape is filled. */
export interface Brush {
  /** Label id. */
  readonly id: number;
  readonly colour: Colour;
  /** About the most levels that fine and coarse noise add or subtract. */
  readonly fine?: number;
  readonly coarse?: number;
  /** Levels added at the bottom of the canvas, and proportionally fewer above. */
  readonly gradient?: number;
  /** Another colour for pixels whose coarse noise is above `level` (−64 … 63). */
  readonly speckle?: { readonly colour: Colour; readonly level: number };
  readonly grid?: Grid;
}

/** An RGB picture and its label ids, painted together: what is painted last is in front. */
export class Canvas {
  /** [height, width, 3] */
  readonly rgb: Uint8ClampedArray;
  /** [height, width] */
  readonly ids: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
    private readonly noise: NoiseTiles,
  ) {
    this.rgb = new Uint8ClampedArray(width * height * 3);
    this.ids = new Uint8Array(width * height);
  }

  rectangle(left: number, top: number, right: number, bottom: number, brush: Brush): void {
    const last = Math.min(Math.round(bottom), this.height);
    for (let y = Math.max(Math.round(top), 0); y < last; y++) this.span(y, left, right, brush);
  }

  ellipse(centreX: number, centreY: number, radiusX: number, radiusY: number, brush: Brush): void {
    const last = Math.min(Math.ceil(centreY + radiusY), this.height);
    for (let y = Math.max(Math.floor(centreY - radiusY), 0); y < last; y++) {
      const height = (y + 0.5 - centreY) / radiusY;
      if (Math.abs(height) >= 1) continue;
      const half = radiusX * Math.sqrt(1 - height * height);
      this.span(y, centreX - half, centreX + half, brush);
    }
  }

  /** A convex polygon. */
  polygon(points: readonly CanvasPoint[], brush: Brush): void {
    const rows = points.map(([, y]) => y);
    const last = Math.min(Math.ceil(Math.max(...rows)), this.height);
    for (let y = Math.max(Math.floor(Math.min(...rows)), 0); y < last; y++) {
      const middle = y + 0.5;
      let left = Number.POSITIVE_INFINITY;
      let right = Number.NEGATIVE_INFINITY;
      for (let i = 0; i < points.length; i++) {
        const [x0, y0] = points[i]!;
        const [x1, y1] = points[(i + 1) % points.length]!;
        if (y0 > middle === y1 > middle) continue;
        const x = x0 + ((middle - y0) * (x1 - x0)) / (y1 - y0);
        left = Math.min(left, x);
        right = Math.max(right, x);
      }
      if (left < right) this.span(y, left, right, brush);
    }
  }

  /** A straight bar between two points. */
  line([x0, y0]: CanvasPoint, [x1, y1]: CanvasPoint, thickness: number, brush: Brush): void {
    const length = Math.hypot(x1 - x0, y1 - y0) || 1;
    // At least one pixel thick, so that thin parts do not vanish from small pictures.
    const half = Math.max(thickness, 1) / 2;
    const acrossX = (-(y1 - y0) / length) * half;
    const acrossY = ((x1 - x0) / length) * half;
    const corners: CanvasPoint[] = [
      [x0 + acrossX, y0 + acrossY],
      [x1 + acrossX, y1 + acrossY],
      [x1 - acrossX, y1 - acrossY],
      [x0 - acrossX, y0 - acrossY],
    ];
    this.polygon(corners, brush);
  }

  /** Fills the pixels of a row whose centre is between two columns. */
  private span(y: number, from: number, to: number, brush: Brush): void {
    const start = Math.max(Math.ceil(from - 0.5), 0);
    const end = Math.min(Math.ceil(to - 0.5), this.width);
    if (start >= end) return;
    const { rgb, width } = this;
    const { fine, coarse } = this.noise;
    const { id, speckle, grid } = brush;
    const fineWeight = (brush.fine ?? 0) / 64;
    const coarseWeight = (brush.coarse ?? 0) / 64;
    const shade = ((brush.gradient ?? 0) * y) / this.height;
    const tileRow = (y % TILE_SIDE) * TILE_SIDE;
    // Blobs have the same size relative to the picture, whatever its size.
    const blobScale = 512 / this.height;
    const blobRow = (Math.floor(y * blobScale) % TILE_SIDE) * TILE_SIDE;
    this.ids.fill(id, y * width + start, y * width + end);
    for (let x = start, at = (y * width + start) * 3; x < end; x++, at += 3) {
      const blob = coarse[blobRow + (Math.floor(x * blobScale) & (TILE_SIDE - 1))]!;
      let { colour } = brush;
      if (grid && grid.columns[x] === 1) {
        const height = grid.base[x]! + y * grid.slope[x]!;
        if (height - Math.floor(height / grid.period) * grid.period < grid.filled) colour = grid.colour;
      } else if (speckle && blob > speckle.level) colour = speckle.colour;
      const light = shade + fine[tileRow + (x & (TILE_SIDE - 1))]! * fineWeight + blob * coarseWeight;
      rgb[at] = colour[0] + light;
      rgb[at + 1] = colour[1] + light;
      rgb[at + 2] = colour[2] + light;
    }
  }
}

/** The rectangle of a thing, in pixels. */
interface Rectangle {
  readonly left: number;
  readonly bottom: number;
  readonly width: number;
  readonly height: number;
}

type PaintShape = (canvas: Canvas, rectangle: Rectangle, brush: Brush) => void;

const box: PaintShape = (canvas, { left, bottom, width, height }, brush) => {
  canvas.rectangle(left, bottom - height, left + width, bottom, brush);
};

const ball: PaintShape = (canvas, { left, bottom, width, height }, brush) => {
  canvas.ellipse(left + width / 2, bottom - height / 2, width / 2, height / 2, brush);
};

const gable: PaintShape = (canvas, { left, bottom, width, height }, brush) => {
  const eaves = bottom - height * 0.55;
  const right = left + width;
  canvas.polygon(
    [
      [left, bottom],
      [left, eaves],
      [left + width / 2, bottom - height],
      [right, eaves],
      [right, bottom],
    ],
    brush,
  );
};

const table: PaintShape = (canvas, { left, bottom, width, height }, brush) => {
  canvas.rectangle(left, bottom - height, left + width, bottom - height * 0.55, brush);
  const leg = Math.max(width * 0.16, 1);
  canvas.rectangle(left, bottom - height * 0.6, left + leg, bottom, brush);
  canvas.rectangle(left + width - leg, bottom - height * 0.6, left + width, bottom, brush);
};

const figure: PaintShape = (canvas, { left, bottom, width, height }, brush) => {
  const middle = left + width / 2;
  canvas.ellipse(middle, bottom - height * 0.84, width * 0.26, height * 0.16, brush);
  canvas.polygon(
    [
      [left + width * 0.12, bottom - height * 0.7],
      [left + width * 0.88, bottom - height * 0.7],
      [left + width * 0.72, bottom],
      [left + width * 0.28, bottom],
    ],
    brush,
  );
};

const tree: PaintShape = (canvas, { left, bottom, width, height }, brush) => {
  const middle = left + width / 2;
  const trunk = Math.max(width * 0.1, 1);
  canvas.rectangle(middle - trunk, bottom - height * 0.5, middle + trunk, bottom, brush);
  canvas.ellipse(middle, bottom - height * 0.66, width / 2, height * 0.34, brush);
};

const SHAPES: readonly PaintShape[] = [box, ball, gable, table, figure, tree];

/** Paints a thing in the outline of its class. */
export function paintThing(canvas: Canvas, rectangle: Rectangle, brush: Brush): void {
  // Six outlines and five textures have no common divisor: thirty classes in a row differ in outline or texture.
  SHAPES[brush.id % SHAPES.length]!(canvas, rectangle, brush);
}

/**
 * Label ids, [height, width], with the pixels on both sides of every edge ignored, as in VOC.
 * @param reach Pixels from the edge on each side.
 */
export function ignoreOutlines(ids: Uint8Array, { height, width }: Size, reach: number): Uint8Array {
  const outlined = ids.slice();
  for (let y = 0; y < height; y++) {
    const above = Math.max(y - reach, 0) * width;
    const below = Math.min(y + reach, height - 1) * width;
    for (let x = 0; x < width; x++) {
      const id = ids[y * width + x];
      const left = y * width + Math.max(x - reach, 0);
      const right = y * width + Math.min(x + reach, width - 1);
      const isInside = ids[above + x] === id && ids[below + x] === id && ids[left] === id && ids[right] === id;
      if (!isInside) outlined[y * width + x] = IGNORE_INDEX;
    }
  }
  return outlined;
}

/** Side of the noise tiles, which repeat seamlessly: a power of two, so that a bit mask wraps coordinates. */
const TILE_SIDE = 256;

/** Two textures of values −64 … 63: `fine` is independent from pixel to pixel, `coarse` has blobs of about eight pixels. */
export interface NoiseTiles {
  readonly fine: Int8Array;
  readonly coarse: Int8Array;
}

/** Mean of `2·radius + 1` neighbours along one axis, wrapped around the tile. */
function blur(values: Float32Array, radius: number, step: 1 | typeof TILE_SIDE): Float32Array {
  const across = step === 1 ? TILE_SIDE : 1;
  const result = new Float32Array(values.length);
  const width = 2 * radius + 1;
  const wrapped = new Float64Array(TILE_SIDE + 2 * radius);
  for (let line = 0; line < TILE_SIDE; line++) {
    for (let i = 0; i < wrapped.length; i++) {
      wrapped[i] = values[line * across + ((i - radius) & (TILE_SIDE - 1)) * step]!;
    }
    for (let i = 0; i < TILE_SIDE; i++) {
      let sum = 0;
      for (let k = i; k < i + width; k++) sum += wrapped[k]!;
      result[line * across + i * step] = sum / width;
    }
  }
  return result;
}

/** The noise tiles of a seed. */
export function makeNoiseTiles(seed: number): NoiseTiles {
  const normal = new Float32Array(TILE_SIDE * TILE_SIDE);
  // Iteration 0 is that of the tiles; image i is iteration i + 1.
  new Draws(seed, Purpose.generate, 0).fillNormal(normal, 1);
  // Few distinct values compress well, and look the same.
  const fine = new Int8Array(normal.length);
  for (let i = 0; i < fine.length; i++) fine[i] = Math.max(-4, Math.min(3, Math.round(normal[i]! * 1.5))) * 16;
  let blobs: Float32Array = normal;
  for (const radius of [3, 2]) blobs = blur(blur(blobs, radius, 1), radius, TILE_SIDE);
  let deviation = 0;
  for (const value of blobs) deviation += value ** 2 / blobs.length;
  const scale = 28 / Math.sqrt(deviation);
  const coarse = new Int8Array(blobs.length);
  for (let i = 0; i < coarse.length; i++) coarse[i] = Math.max(-64, Math.min(63, Math.round(blobs[i]! * scale)));
  return { fine, coarse };
}

/** Random choices one after another, in a fixed order. */
export class Dice {
  private index = 0;

  constructor(private readonly draws: Draws) {}

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + this.draws.uniform(this.index++) * (high - low);
  }

  /** Uniform integer in [low, high], both included. */
  integer(low: number, high: number): number {
    return this.draws.integer(this.index++, low, high);
  }

  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }

  /** −1 or 1. */
  side(): -1 | 1 {
    return this.chance(0.5) ? 1 : -1;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)]!;
  }
}
