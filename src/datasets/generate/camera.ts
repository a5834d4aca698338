import type { Size } from '../../data/image.js';
import type { Brush, CanvasPoint, Colour, Grid } from './canvas.js';

/** Above the road, in metres. */
const CAMERA_HEIGHT = 1.4;

/**
 * A camera that looks along a straight street. The world is in metres: x to the right of the camera, y up from the road,
 * z ahead.
 */
export class Camera {
  /** Pixels per metre at a distance of one metre. */
  private readonly focal: number;

  constructor(
    readonly size: Size,
    /** The vanishing point of the street, in pixels. */
    readonly vanishingX: number,
    readonly horizon: number,
  ) {
    this.focal = 1.25 * size.height;
  }

  point(x: number, y: number, z: number): CanvasPoint {
    return [this.vanishingX + (this.focal * x) / z, this.horizon + (this.focal * (CAMERA_HEIGHT - y)) / z];
  }

  /** Pixels per metre at a distance. */
  scale(z: number): number {
    return this.focal / z;
  }

  /** The corners of an upright wall along the street, at a lateral position, from `near` to `far`. */
  wall(x: number, near: number, far: number, height: number): CanvasPoint[] {
    return [this.point(x, 0, near), this.point(x, 0, far), this.point(x, height, far), this.point(x, height, near)];
  }

  /** A strip of the ground between two lateral positions, from `near` to `far`. */
  strip(left: number, right: number, near: number, far: number): CanvasPoint[] {
    return [this.point(left, 0, near), this.point(right, 0, near), this.point(right, 0, far), this.point(left, 0, far)];
  }

  /** A grid on a wall along the street: cells of `cell` metres (along the street, up) every `every` metres. */
  wallGrid(x: number, colour: Colour, every: readonly [number, number], cell: readonly [number, number]): Grid {
    const { width } = this.size;
    const grid = emptyGrid(width, colour, every[1], cell[1]);
    for (let column = 0; column < width; column++) {
      const z = (this.focal * x) / (column + 0.5 - this.vanishingX);
      if (!(z > 0) || !Number.isFinite(z)) continue;
      grid.columns[column] = z % every[0] < cell[0] ? 1 : 0;
      // From the projection: y = camera height − (row − horizon) · z / focal.
      grid.base[column] = CAMERA_HEIGHT + ((this.horizon - 0.5) * z) / this.focal;
      grid.slope[column] = -z / this.focal;
    }
    return grid;
  }
}

function emptyGrid(width: number, colour: Colour, period: number, filled: number): Grid {
  return {
    colour,
    columns: new Uint8Array(width),
    base: new Float32Array(width),
    slope: new Float32Array(width),
    period,
    filled,
  };
}

/** A grid on a surface that faces the camera: cells and periods in metres, from a corner in pixels, `scale` pixels per metre. */
export function flatGrid(
  width: number,
  [left, bottom]: CanvasPoint,
  scale: number,
  colour: Colour,
  every: readonly [number, number],
  cell: readonly [number, number],
): Grid {
  const grid = emptyGrid(width, colour, every[1], cell[1]);
  for (let column = 0; column < width; column++) {
    const along = (column + 0.5 - left) / scale;
    grid.columns[column] = along - Math.floor(along / every[0]) * every[0] < cell[0] ? 1 : 0;
    grid.base[column] = (bottom - 0.5) / scale;
    grid.slope[column] = -1 / scale;
  }
  return grid;
}

/** The brush with `levels` added to each channel of its colour. */
export function lighten(brush: Brush, levels: number): Brush {
  const [red, green, blue] = brush.colour;
  return { ...brush, colour: [red + levels, green + levels, blue + levels] };
}
