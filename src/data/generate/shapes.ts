import type { Brush, Canvas } from './canvas.js';

/** The rectangle that a thing fills, in pixels: it stands on `bottom`. */
export interface Stand {
  readonly left: number;
  readonly bottom: number;
  readonly width: number;
  readonly height: number;
}

type PaintShape = (canvas: Canvas, stand: Stand, brush: Brush) => void;

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
export function paintThing(canvas: Canvas, stand: Stand, brush: Brush): void {
  // Coprime to the number of textures: thirty classes in a row share neither outline and texture.
  SHAPES[brush.id % SHAPES.length]!(canvas, stand, brush);
}
