import { type Camera, flatGrid } from './camera.js';
import type { Brush, Canvas, Colour, Dice } from './canvas.js';
import { LabelId } from './imitations.js';

/** The place of an object on the ground that faces the camera. */
interface Place {
  /** Lateral position of its middle, and distance, in metres. */
  readonly x: number;
  readonly z: number;
}

export type PaintObject = (canvas: Canvas, camera: Camera, place: Place, dice: Dice) => void;

const WINDOW: Colour = [44, 54, 66];
const TYRE: Colour = [22, 22, 24];
const CAR_COLOURS: readonly Colour[] = [
  [24, 28, 110],
  [150, 24, 30],
  [190, 194, 200],
  [36, 38, 46],
  [60, 74, 140],
];
const CLOTHES: readonly Colour[] = [
  [210, 48, 70],
  [196, 70, 40],
  [180, 40, 110],
];
const SKIN: Colour = [214, 160, 130];

/** Two wheels, `offset` metres to either side of a vehicle's middle. */
function wheels(canvas: Canvas, camera: Camera, { x, z }: Place, id: number, offset: number, radius: number): void {
  const scale = camera.scale(z);
  for (const side of [-1, 1]) {
    const [centreX, centreY] = camera.point(x + side * offset, radius, z);
    canvas.ellipse(centreX, centreY, radius * scale, radius * scale, { id, colour: TYRE, fine: 6 });
    canvas.ellipse(centreX, centreY, radius * scale * 0.45, radius * scale * 0.45, { id, colour: [120, 122, 126] });
  }
}

/** A rectangle: left, right, bottom and top in metres from the point on the ground below the middle of an object. */
function plate(
  canvas: Canvas,
  camera: Camera,
  { x, z }: Place,
  [left, right, bottom, top]: readonly [number, number, number, number],
  brush: Brush,
): void {
  const [x0, y1] = camera.point(x + left, bottom, z);
  const [x1, y0] = camera.point(x + right, top, z);
  canvas.rectangle(x0, y0, Math.max(x1, x0 + 1), y1, brush);
}

export const paintCar: PaintObject = (canvas, camera, place, dice) => {
  const colour = dice.pick(CAR_COLOURS);
  const body: Brush = { id: LabelId.car, colour, fine: 5, coarse: 10 };
  const { x, z } = place;
  const half = dice.between(1.6, 2.2);
  const cabin = [
    camera.point(x - half * 0.7, 0.8, z),
    camera.point(x - half * 0.42, 1.5, z),
    camera.point(x + half * 0.42, 1.5, z),
    camera.point(x + half * 0.75, 0.8, z),
  ];
  canvas.polygon(cabin, body);
  const glass = [
    camera.point(x - half * 0.58, 0.85, z),
    camera.point(x - half * 0.36, 1.4, z),
    camera.point(x + half * 0.36, 1.4, z),
    camera.point(x + half * 0.6, 0.85, z),
  ];
  canvas.polygon(glass, { id: LabelId.car, colour: WINDOW, coarse: 14 });
  plate(canvas, camera, place, [-half, half, 0.28, 0.9], body);
  plate(canvas, camera, place, [half * 0.88, half, 0.6, 0.75], { id: LabelId.car, colour: [240, 214, 150] });
  plate(canvas, camera, place, [-half, -half * 0.9, 0.6, 0.75], { id: LabelId.car, colour: [200, 30, 30] });
  wheels(canvas, camera, place, LabelId.car, half * 0.62, 0.34);
};

export const paintTruck: PaintObject = (canvas, camera, place, dice) => {
  const cargo: Brush = {
    id: LabelId.truck,
    colour: dice.pick([
      [226, 214, 190],
      [205, 120, 40],
    ]),
    fine: 4,
    coarse: 8,
  };
  const [left, bottom] = camera.point(place.x - 3.4, 0.7, place.z);
  const ribs = flatGrid(canvas.width, [left, bottom], camera.scale(place.z), [150, 130, 100], [0.5, 10], [0.08, 10]);
  plate(canvas, camera, place, [-3.4, 1.6, 0.7, 3.6], { ...cargo, grid: ribs });
  plate(canvas, camera, place, [1.7, 3.4, 0.5, 2.7], { id: LabelId.truck, colour: [30, 60, 84], fine: 5, coarse: 8 });
  plate(canvas, camera, place, [2.3, 3.4, 1.5, 2.4], { id: LabelId.truck, colour: WINDOW });
  wheels(canvas, camera, place, LabelId.truck, 2.4, 0.5);
};

export const paintBus: PaintObject = (canvas, camera, place, dice) => {
  const colour: Colour = dice.pick([
    [222, 168, 20],
    [236, 190, 40],
  ]);
  const [left, bottom] = camera.point(place.x - 5.5, 1.5, place.z);
  const windows = flatGrid(canvas.width, [left, bottom], camera.scale(place.z), WINDOW, [1.4, 20], [1.15, 1]);
  plate(canvas, camera, place, [-5.5, 5.5, 0.4, 3.1], { id: LabelId.bus, colour, fine: 4, coarse: 8, grid: windows });
  wheels(canvas, camera, place, LabelId.bus, 3.8, 0.5);
};

export const paintTrain: PaintObject = (canvas, camera, place) => {
  const [left, bottom] = camera.point(place.x - 14, 1.7, place.z);
  const windows = flatGrid(canvas.width, [left, bottom], camera.scale(place.z), WINDOW, [2.2, 30], [1.8, 1]);
  const body: Brush = { id: LabelId.train, colour: [20, 130, 120], fine: 4, coarse: 8, grid: windows };
  plate(canvas, camera, place, [-14, 14, 0.5, 3.7], body);
  plate(canvas, camera, place, [-14, 14, 0.9, 1.2], { id: LabelId.train, colour: [235, 240, 240], fine: 4 });
  for (const offset of [-10, -4, 4, 10]) {
    wheels(canvas, camera, { x: place.x + offset, z: place.z }, LabelId.train, 0.8, 0.4);
  }
};

/** A person; `ground` is the height of the feet. */
function figure(canvas: Canvas, camera: Camera, place: Place, dice: Dice, id: number, ground: number): void {
  const clothes = dice.pick(CLOTHES);
  const [headX, headY] = camera.point(place.x, ground + 1.6, place.z);
  const scale = camera.scale(place.z);
  plate(canvas, camera, place, [-0.2, -0.02, ground, ground + 0.85], { id, colour: [46, 40, 78], fine: 6 });
  plate(canvas, camera, place, [0.04, 0.2, ground, ground + 0.85], { id, colour: [46, 40, 78], fine: 6 });
  plate(canvas, camera, place, [-0.28, 0.28, ground + 0.78, ground + 1.42], {
    id,
    colour: clothes,
    fine: 8,
    coarse: 8,
  });
  canvas.ellipse(headX, headY, Math.max(0.13 * scale, 1), Math.max(0.17 * scale, 1), { id, colour: SKIN, fine: 4 });
}

export const paintPerson: PaintObject = (canvas, camera, place, dice) => {
  figure(canvas, camera, place, dice, LabelId.person, 0);
};

/** Two wheels, seen from the side. */
function twoWheeler(canvas: Canvas, camera: Camera, { x, z }: Place, brush: Brush, tyre: number): void {
  const radius = 0.34;
  const corners = 12;
  for (const side of [-1, 1]) {
    for (let i = 0; i < corners; i++) {
      const at = (k: number) => {
        const angle = (2 * Math.PI * k) / corners;
        return camera.point(x + side * 0.55 + radius * Math.cos(angle), radius + radius * Math.sin(angle), z);
      };
      canvas.line(at(i), at(i + 1), tyre * camera.scale(z), brush);
    }
  }
}

export const paintBicycle: PaintObject = (canvas, camera, place) => {
  const { x, z } = place;
  const brush: Brush = { id: LabelId.bicycle, colour: [120, 16, 40], fine: 6 };
  const thickness = 0.09 * camera.scale(z);
  twoWheeler(canvas, camera, place, brush, 0.1);
  const bars: readonly (readonly [number, number, number, number])[] = [
    [-0.55, 0.34, -0.15, 0.85],
    [-0.15, 0.85, 0.4, 0.85],
    [0.55, 0.34, 0.4, 1],
    [-0.05, 0.3, 0.4, 0.85],
    [-0.05, 0.3, -0.15, 0.85],
    [-0.55, 0.34, -0.05, 0.3],
  ];
  for (const [x0, y0, x1, y1] of bars) {
    canvas.line(camera.point(x + x0, y0, z), camera.point(x + x1, y1, z), thickness, brush);
  }
};

export const paintMotorcycle: PaintObject = (canvas, camera, place) => {
  const { x, z } = place;
  const brush: Brush = { id: LabelId.motorcycle, colour: [14, 16, 190], fine: 8, coarse: 10 };
  twoWheeler(canvas, camera, place, { ...brush, colour: [26, 26, 60] }, 0.18);
  const body = [
    camera.point(x - 0.75, 0.85, z),
    camera.point(x - 0.3, 0.32, z),
    camera.point(x + 0.3, 0.32, z),
    camera.point(x + 0.62, 0.95, z),
    camera.point(x, 1, z),
  ];
  canvas.polygon(body, brush);
};

export const paintRider: PaintObject = (canvas, camera, place, dice) => {
  figure(canvas, camera, place, dice, LabelId.rider, 0.35);
  const [helmetX, helmetY] = camera.point(place.x, 2.04, place.z);
  const scale = camera.scale(place.z);
  const helmet: Brush = { id: LabelId.rider, colour: [250, 60, 10], fine: 4 };
  canvas.ellipse(helmetX, helmetY, Math.max(0.17 * scale, 1), Math.max(0.12 * scale, 1), helmet);
  plate(canvas, camera, place, [-0.27, 0.27, 1.12, 1.78], { ...helmet, colour: [250, 110, 20], fine: 8 });
  (dice.chance(0.6) ? paintBicycle : paintMotorcycle)(canvas, camera, place, dice);
};

const POLE: Brush = { id: LabelId.pole, colour: [150, 150, 152], fine: 6 };

export const paintPole: PaintObject = (canvas, camera, { x, z }, dice) => {
  const height = dice.between(5, 8);
  const thickness = 0.2 * camera.scale(z);
  canvas.line(camera.point(x, 0, z), camera.point(x, height, z), thickness, POLE);
  // The lamp's arm reaches over the road.
  const arm = x > 0 ? -1.4 : 1.4;
  canvas.line(camera.point(x, height, z), camera.point(x + arm, height + 0.2, z), thickness * 0.7, POLE);
};

export const paintTrafficSign: PaintObject = (canvas, camera, { x, z }, dice) => {
  const scale = camera.scale(z);
  canvas.line(camera.point(x, 0, z), camera.point(x, 2.6, z), 0.12 * scale, POLE);
  const face: Brush = { id: LabelId.trafficSign, colour: [232, 214, 20], fine: 4 };
  const [centreX, centreY] = camera.point(x, 2.7, z);
  const radius = Math.max(0.48 * scale, 1.5);
  if (dice.chance(0.5)) {
    canvas.ellipse(centreX, centreY, radius, radius, { ...face, colour: [214, 24, 30] });
    canvas.ellipse(centreX, centreY, radius * 0.68, radius * 0.68, face);
  } else {
    canvas.polygon(
      [
        [centreX, centreY - radius],
        [centreX + radius, centreY],
        [centreX, centreY + radius],
        [centreX - radius, centreY],
      ],
      face,
    );
  }
};

export const paintTrafficLight: PaintObject = (canvas, camera, place, dice) => {
  const { x, z } = place;
  const scale = camera.scale(z);
  canvas.line(camera.point(x, 0, z), camera.point(x, 3, z), 0.14 * scale, POLE);
  const id = LabelId.trafficLight;
  plate(canvas, camera, place, [-0.28, 0.28, 2.6, 3.9], { id, colour: [30, 34, 30], fine: 4 });
  const lit = dice.integer(0, 2);
  const lamps: readonly Colour[] = [
    [30, 230, 90],
    [250, 170, 30],
    [250, 40, 30],
  ];
  for (const [i, lamp] of lamps.entries()) {
    const [lampX, lampY] = camera.point(x, 2.83 + 0.42 * i, z);
    const colour: Colour = i === lit ? lamp : [lamp[0] * 0.45, lamp[1] * 0.45, lamp[2] * 0.45];
    canvas.ellipse(lampX, lampY, 0.18 * scale, 0.18 * scale, { id, colour });
  }
};

/** A trunk and a crown of overlapping ellipses. */
export const paintTree: PaintObject = (canvas, camera, { x, z }, dice) => {
  const id = LabelId.vegetation;
  const scale = camera.scale(z);
  canvas.line(camera.point(x, 0, z), camera.point(x, 3, z), 0.35 * scale, { id, colour: [74, 58, 40], fine: 10 });
  const leaves: Brush = {
    id,
    colour: [60, 104, 34],
    fine: 16,
    coarse: 26,
    speckle: { colour: [30, 62, 22], level: 14 },
  };
  for (let i = 0; i < 7; i++) {
    const [centreX, centreY] = camera.point(x + dice.between(-1.5, 1.5), dice.between(2.8, 6), z);
    const radius = dice.between(0.9, 1.7) * scale;
    canvas.ellipse(centreX, centreY, radius, radius * dice.between(0.75, 1), leaves);
  }
};

/** A waste bin: void in the labels. */
export const paintBin: PaintObject = (canvas, camera, place) => {
  plate(canvas, camera, place, [-0.3, 0.3, 0, 0.95], { id: LabelId.static, colour: [96, 62, 120], fine: 6 });
};
