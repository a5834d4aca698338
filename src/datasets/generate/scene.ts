import type { Size } from '../../data/image.js';
import { Draws, Purpose } from '../../support/random.js';
import { Camera, lighten } from './camera.js';
import { type Brush, Canvas, type Colour, Dice, type NoiseTiles } from './canvas.js';
import { LabelId } from './imitations.js';
import {
  type PaintObject,
  paintBicycle,
  paintBin,
  paintBus,
  paintCar,
  paintMotorcycle,
  paintPerson,
  paintPole,
  paintRider,
  paintTrafficLight,
  paintTrafficSign,
  paintTrain,
  paintTree,
  paintTruck,
} from './objects.js';

/** Distance beyond which nothing can be distinguished, in metres. */
const FAR = 120;
/** A distance at which the ground is below the picture's lower edge, in metres. */
const NEAR = 1;

/** Lateral extents of the street, in metres. */
interface Street {
  readonly roadLeft: number;
  readonly roadRight: number;
  readonly pavement: number;
  /** Width of the ground between pavement and buildings. */
  readonly verge: number;
}

const SKY: Brush = { id: LabelId.sky, colour: [112, 168, 224], gradient: 90, coarse: 10 };
const ROAD: Brush = { id: LabelId.road, colour: [104, 92, 106], fine: 8, coarse: 7, gradient: -10 };
const PAVEMENT: Brush = { id: LabelId.sidewalk, colour: [196, 150, 188], fine: 6, coarse: 6 };
const TERRAIN: Brush = {
  id: LabelId.terrain,
  colour: [142, 196, 104],
  fine: 14,
  coarse: 12,
  speckle: { colour: [172, 186, 110], level: 24 },
};
const HEDGE: Brush = {
  id: LabelId.vegetation,
  colour: [52, 92, 36],
  fine: 14,
  coarse: 24,
  speckle: { colour: [28, 58, 22], level: 14 },
};
const FRONTS: readonly Colour[] = [
  [104, 84, 74],
  [126, 112, 96],
  [88, 80, 82],
  [132, 98, 82],
];
const WHITE_LINE: Brush = { id: LabelId.road, colour: [224, 222, 226], fine: 5 };

function paintGround(canvas: Canvas, camera: Camera, street: Street, dice: Dice): void {
  const { roadLeft, roadRight, pavement, verge } = street;
  const beyond = 60;
  canvas.rectangle(0, camera.horizon, canvas.width, canvas.height, PAVEMENT);
  for (const side of [-1, 1]) {
    const edge = side < 0 ? roadLeft - pavement : roadRight + pavement;
    const brush = dice.chance(0.6) ? TERRAIN : PAVEMENT;
    canvas.polygon(camera.strip(edge, edge + side * (verge + beyond), NEAR, FAR), brush);
    // Slabs: a joint every two metres.
    const inner = side < 0 ? roadLeft : roadRight;
    for (let z = 3; z < 30; z += 2) {
      canvas.polygon(camera.strip(inner, edge, z, z + 0.06), lighten(PAVEMENT, -26));
    }
  }
  canvas.polygon(camera.strip(roadLeft, roadRight, NEAR, FAR), ROAD);
  for (const kerb of [roadLeft, roadRight]) {
    canvas.polygon(camera.strip(kerb - 0.12, kerb + 0.12, NEAR, FAR), lighten(PAVEMENT, 26));
  }
  const middle = (roadLeft + roadRight) / 2;
  for (let z = 2 + dice.between(0, 4); z < 60; z += 6) {
    canvas.polygon(camera.strip(middle - 0.08, middle + 0.08, z, z + 3), WHITE_LINE);
  }
  if (dice.chance(0.35)) {
    const z = dice.between(6, 14);
    for (let x = roadLeft + 0.4; x < roadRight - 0.5; x += 1) {
      canvas.polygon(camera.strip(x, x + 0.5, z, z + 2.5), WHITE_LINE);
    }
  }
}

/** Houses, hedges, walls and fences along one side, from far to near, so that near ones hide far ones. */
function paintSide(canvas: Canvas, camera: Camera, street: Street, side: -1 | 1, scene: Features, dice: Dice): void {
  const edge = side < 0 ? street.roadLeft - street.pavement : street.roadRight + street.pavement;
  const front = edge + side * street.verge;
  const lots: { near: number; far: number; kind: 'house' | 'hedge' | 'gap' }[] = [];
  for (let near = 2.5 + dice.between(0, 3); near < 90; ) {
    const far = near + dice.between(7, 16);
    lots.push({ near, far, kind: dice.chance(0.72) ? 'house' : dice.chance(0.7) ? 'hedge' : 'gap' });
    near = far + (dice.chance(0.3) ? dice.between(1, 5) : 0);
  }
  for (const { near, far, kind } of lots.reverse()) {
    if (kind === 'gap') continue;
    if (kind === 'hedge') {
      canvas.polygon(camera.wall(front, near, far, dice.between(2.5, 6)), HEDGE);
      continue;
    }
    const height = dice.between(7, 22);
    const colour = dice.pick(FRONTS);
    const panes: Colour = dice.chance(0.3) ? [196, 188, 150] : [40, 46, 58];
    const grid = camera.wallGrid(front, panes, [dice.between(2, 3), 3], [1.2, 1.6]);
    const house: Brush = { id: LabelId.building, colour, fine: 7, coarse: 8 };
    // The gable that faces the camera, then the front along the street.
    const [gableX, gableTop] = camera.point(front, height, near);
    const [outerX, bottom] = camera.point(front + side * 14, 0, near);
    canvas.rectangle(Math.min(gableX, outerX), gableTop, Math.max(gableX, outerX), bottom, lighten(house, -18));
    canvas.polygon(camera.wall(front, near, far, height), { ...house, grid });
  }
  const barrier = edge + side * 0.6;
  if (scene.has('wall') && scene.sideOf('wall') === side) {
    const near = dice.between(3, 6);
    const joints = camera.wallGrid(barrier, [84, 84, 130], [1, 0.5], [0.94, 0.42]);
    const wall: Brush = { id: LabelId.wall, colour: [128, 128, 168], fine: 8, coarse: 8, grid: joints };
    canvas.polygon(camera.wall(barrier, near, near + dice.between(10, 22), dice.between(1.8, 2.6)), wall);
  }
  if (scene.has('fence') && scene.sideOf('fence') === side) {
    const near = dice.between(3, 6);
    const bars = camera.wallGrid(barrier, [120, 84, 84], [0.4, 10], [0.2, 10]);
    const fence: Brush = { id: LabelId.fence, colour: [206, 170, 164], fine: 6, grid: bars };
    canvas.polygon(camera.wall(barrier, near, near + dice.between(10, 22), dice.between(1.2, 1.7)), fence);
  }
}

/** Things that some scenes lack. */
const FEATURES = [
  'wall',
  'fence',
  'trafficLight',
  'trafficSign',
  'person',
  'rider',
  'car',
  'truck',
  'bus',
  'train',
  'motorcycle',
  'bicycle',
  'tree',
] as const;
type Feature = (typeof FEATURES)[number];

/** Number of features that a scene is sure to have; three scenes in a row have all of them. */
const CERTAIN = 5;

class Features {
  private readonly present = new Map<Feature, -1 | 1>();

  constructor(index: number, dice: Dice) {
    for (const [i, feature] of FEATURES.entries()) {
      // Steps of five around the list of thirteen.
      const certain = (i - index * CERTAIN + FEATURES.length * index) % FEATURES.length < CERTAIN;
      const side = dice.side();
      if (dice.chance(0.4) || certain) this.present.set(feature, side);
    }
  }

  has(feature: Feature): boolean {
    return this.present.has(feature);
  }

  sideOf(feature: Feature): -1 | 1 {
    return this.present.get(feature) ?? 1;
  }
}

interface Placed {
  readonly x: number;
  readonly z: number;
  readonly paint: PaintObject;
}

/** Chooses the objects and their places; the farthest come first. */
function placeObjects(street: Street, scene: Features, dice: Dice): Placed[] {
  const { roadLeft, roadRight, pavement, verge } = street;
  const placed: Placed[] = [];
  const add = (paint: PaintObject, x: number, z: number) => placed.push({ x, z, paint });
  const kerb = (side: -1 | 1, distance: number) => (side < 0 ? roadLeft - distance : roadRight + distance);
  const parked = (side: -1 | 1) => kerb(side, -1.5);

  if (scene.has('tree')) {
    for (let i = dice.integer(2, 5); i > 0; i--) {
      add(paintTree, kerb(dice.side(), pavement + dice.between(0, verge)), dice.between(8, 45));
    }
  }
  for (let z = dice.between(6, 12); z < 60; z += dice.between(12, 20)) add(paintPole, kerb(dice.side(), 0.5), z);
  if (scene.has('trafficLight')) {
    for (let i = dice.integer(1, 3); i > 0; i--) add(paintTrafficLight, kerb(dice.side(), 0.5), dice.between(7, 16));
  }
  if (scene.has('trafficSign')) {
    for (let i = dice.integer(1, 3); i > 0; i--) add(paintTrafficSign, kerb(dice.side(), 0.6), dice.between(6, 15));
  }
  if (scene.has('train')) add(paintTrain, scene.sideOf('train') * dice.between(9, 14), dice.between(20, 28));
  if (scene.has('bus')) add(paintBus, kerb(scene.sideOf('bus'), -3), dice.between(15, 22));
  if (scene.has('truck')) add(paintTruck, kerb(scene.sideOf('truck'), -2.2), dice.between(12, 20));
  if (scene.has('car')) {
    for (let i = dice.integer(2, 5); i > 0; i--) {
      const x = dice.chance(0.7) ? parked(dice.side()) : dice.between(roadLeft + 2, roadRight - 2);
      add(paintCar, x, dice.between(8, 40));
    }
  }
  if (scene.has('motorcycle')) add(paintMotorcycle, parked(scene.sideOf('motorcycle')), dice.between(5, 10));
  if (scene.has('bicycle')) {
    for (let i = dice.integer(1, 3); i > 0; i--)
      add(paintBicycle, kerb(dice.side(), dice.between(0.3, 1.5)), dice.between(4.5, 9));
  }
  if (scene.has('rider')) add(paintRider, parked(scene.sideOf('rider')), dice.between(5, 10));
  if (scene.has('person')) {
    for (let i = dice.integer(2, 6); i > 0; i--) {
      const x = dice.chance(0.8) ? kerb(dice.side(), dice.between(0.4, pavement)) : dice.between(roadLeft, roadRight);
      add(paintPerson, x, dice.between(5, 22));
    }
  }
  if (dice.chance(0.5)) add(paintBin, kerb(dice.side(), 1), dice.between(6, 15));
  return placed.sort((a, b) => b.z - a.z);
}

/** Paints scene number `index`: the same picture for the same seed. Rare classes take turns. */
export function paintScene(size: Size, seed: number, index: number, noise: NoiseTiles): Canvas {
  const dice = new Dice(new Draws(seed, Purpose.generate, index + 1));
  const { height, width } = size;
  const canvas = new Canvas(width, height, noise);
  const camera = new Camera(size, width * dice.between(0.42, 0.58), height * dice.between(0.4, 0.48));
  const shift = dice.between(-1.5, 1.5);
  const half = dice.between(4, 5.5);
  const street: Street = {
    roadLeft: shift - half,
    roadRight: shift + half,
    pavement: dice.between(2, 3.5),
    verge: dice.between(0.5, 4),
  };
  const scene = new Features(index, dice);

  canvas.rectangle(0, 0, width, height, SKY);
  paintGround(canvas, camera, street, dice);
  for (let i = 0; i < 9; i++) {
    // A line of trees where the street vanishes.
    const radius = height * dice.between(0.03, 0.09);
    canvas.ellipse(width * dice.between(0, 1), camera.horizon, radius * 2, radius, HEDGE);
  }
  for (const side of [-1, 1] as const) paintSide(canvas, camera, street, side, scene, dice);
  for (const { x, z, paint } of placeObjects(street, scene, dice)) paint(canvas, camera, { x, z }, dice);
  // The bonnet of the car that carries the camera.
  const bonnet: Brush = { id: LabelId.egoVehicle, colour: [40, 42, 46], coarse: 12, fine: 4 };
  canvas.ellipse(width / 2, height * 1.04, width * 0.42, height * dice.between(0.1, 0.14), bonnet);
  return canvas;
}
