import type { Size } from '../../data/image.js';
import { flatGrid } from './camera.js';
import { type Brush, Canvas, type CanvasPoint, type Colour, type Dice, type NoiseTiles, paintThing } from './canvas.js';

/** Names of classes that fill a part of the picture; every other class is a thing in it. */
const ABOVE = { outdoors: ['sky'], indoors: ['ceiling'] } as const;
const BEHIND = {
  outdoors: ['building', 'mountain', 'house', 'skyscraper', 'hill', 'tree', 'fence'],
  indoors: ['wall', 'curtain', 'windowpane', 'window', 'bookcase', 'shelves'],
} as const;
const BELOW = {
  outdoors: [
    ...['road', 'grass', 'sidewalk', 'earth', 'water', 'sea', 'field', 'sand', 'path', 'runway', 'river'],
    ...['dirt track', 'land', 'lake', 'pier', 'ground', 'snow', 'track', 'platform', 'swimming pool'],
  ],
  indoors: ['floor', 'rug', 'stage'],
} as const;
const FILLING: ReadonlySet<string> = new Set(
  [ABOVE, BEHIND, BELOW].flatMap(({ outdoors, indoors }) => [...outdoors, ...indoors]),
);

/** Number of things in a scene, in two rows. */
const THINGS = 8;

/** Label ids by their role in a scene. */
interface SceneClasses {
  readonly above: readonly number[];
  readonly behind: readonly number[];
  readonly below: readonly number[];
  readonly things: readonly number[];
}

/** @param names Class names by label id; 0 is no class, or the background. */
function sceneClasses(names: readonly string[], place: 'outdoors' | 'indoors'): SceneClasses {
  const named = (wanted: readonly string[]) => wanted.map((name) => names.indexOf(name)).filter((id) => id > 0);
  return {
    above: named(ABOVE[place]),
    behind: named(BEHIND[place]),
    below: named(BELOW[place]),
    things: names.flatMap((name, id) => (id > 0 && !FILLING.has(name) ? [id] : [])),
  };
}

/**
 * Paints a scene of the classes of a data set: surfaces above, behind and below, and things in front of them, each class with its
 * own colour, texture and outline. The classes take turns, so that a few dozen scenes show all of them.
 * @param names Class names by label id; 0 is no class, or the background, and stands in for surfaces that `names` lacks.
 * @param background Whether a good part of the scene is to have id 0.
 */
export function paintClassScene(
  size: Size,
  names: readonly string[],
  index: number,
  noise: NoiseTiles,
  dice: Dice,
  background: boolean,
): Canvas {
  const { width, height } = size;
  const canvas = new Canvas(width, height, noise);
  const place = index % 3 === 2 ? 'indoors' : 'outdoors';
  const { above, behind, below, things } = sceneClasses(names, place);
  // Number of earlier scenes of this place.
  const turn = place === 'indoors' ? Math.floor(index / 3) : index - Math.floor((index + 1) / 3);
  const light = dice.between(-22, 22);
  const period = height / 16;
  const brush = (ids: readonly number[], number: number) =>
    ids.length === 0
      ? neutralBrush(number, light)
      : brushOf(ids[number % ids.length]!, width, [dice.between(0, width), height], period * 1.5, light);

  const skyline = height * dice.between(0.12, 0.3);
  const horizon = height * dice.between(0.42, 0.6);
  canvas.rectangle(0, 0, width, height, brush(above, turn));
  let left = 0;
  for (let part = 0; part < 3; part++) {
    const right = part === 2 ? width : width * ((part + 1) / 3 + dice.between(-0.08, 0.08));
    const top = place === 'indoors' ? skyline : skyline + height * dice.between(-0.1, 0.12);
    canvas.rectangle(left, top, right, horizon, brush(behind, turn * 3 + part));
    left = right;
  }
  // Two grounds that meet at an edge towards the camera.
  canvas.rectangle(0, horizon, width, height, brush(below, turn * 2));
  const edge = width * dice.between(0.35, 0.65);
  const slant = width * dice.between(-0.25, 0.25);
  canvas.polygon(
    [
      [edge, horizon],
      [width, horizon],
      [width, height],
      [edge + slant, height],
    ],
    brush(below, turn * 2 + 1),
  );
  if (background) paintBackground(canvas, size, skyline, dice, light);
  else if (dice.chance(0.5)) paintUnknown(canvas, size, dice, light);
  paintThings(canvas, size, things, index, dice, light);
  return canvas;
}

/** A square that belongs to no class. */
function paintUnknown(canvas: Canvas, { width, height }: Size, dice: Dice, light: number): void {
  const side = height * dice.between(0.1, 0.2);
  const left = dice.between(0, width - side);
  const top = height * dice.between(0.3, 0.6);
  canvas.rectangle(left, top, left + side, top + side, neutralBrush(dice.integer(0, 3), light - 30));
}

/** A tall strip behind all things that belongs to no class: about a seventh of the picture in the end. */
function paintBackground(canvas: Canvas, { width, height }: Size, skyline: number, dice: Dice, light: number): void {
  const wide = width * dice.between(0.25, 0.4);
  const left = dice.between(0, width - wide);
  canvas.rectangle(left, skyline, left + wide, height, neutralBrush(dice.integer(0, 3), light - 30));
}

/** The things whose turn it is, each in its own stretch, so that none hides another of its row. */
function paintThings(
  canvas: Canvas,
  { width, height }: Size,
  things: readonly number[],
  index: number,
  dice: Dice,
  light: number,
): void {
  if (things.length === 0) return;
  const count = Math.min(THINGS, things.length);
  const inRow = Math.ceil(count / 2);
  for (let n = 0; n < count; n++) {
    const row = Math.floor(n / inRow);
    const stretch = width / inRow;
    // The front row is lower, so that it does not hide the back row.
    const tall = height * (row === 0 ? dice.between(0.34, 0.5) : dice.between(0.24, 0.36));
    const wide = stretch * dice.between(0.7, 0.98);
    const left = stretch * (n % inRow) + dice.between(0, stretch - wide);
    const bottom = height * (row === 0 ? dice.between(0.56, 0.64) : dice.between(0.9, 0.99));
    const id = things[(index * count + n) % things.length]!;
    paintThing(
      canvas,
      { left, bottom, width: wide, height: tall },
      brushOf(id, width, [left, bottom], height / 16, light),
    );
  }
}

/** Turns between the hues of neighbouring ids: the golden section spreads any number of hues evenly. */
const HUE_STEP = (3 - Math.sqrt(5)) / 2;
const SATURATIONS = [0.62, 0.9, 0.4] as const;
const LIGHTNESSES = [0.46, 0.62, 0.32] as const;

/** RGB of a hue in turns, a saturation and a lightness in [0, 1]. */
function fromHsl(hue: number, saturation: number, lightness: number): Colour {
  const chroma = (1 - Math.abs(2 * lightness - 1)) * saturation;
  const channel = (offset: number) => {
    const sector = ((((hue + offset) % 1) + 1) % 1) * 6;
    const strength = Math.min(Math.max(Math.abs(sector - 3) - 1, 0), 1);
    return Math.round(255 * (lightness + chroma * (strength - 0.5)));
  };
  return [channel(0), channel(-1 / 3), channel(1 / 3)];
}

/** Part of a period, across and up, that has the second colour: stripes, bars, windows. */
const CELLS: readonly (readonly [number, number])[] = [
  [0.5, 1],
  [1, 0.45],
  [0.6, 0.6],
];

/**
 * The look of a class: a colour and one of five textures, the same in every data set and for every seed.
 * @param at Corner at which the pattern starts, in pixels.
 * @param period Pixels after which a pattern repeats.
 * @param light Levels added to all colours: the light of the scene.
 */
function brushOf(id: number, width: number, at: CanvasPoint, period: number, light: number): Brush {
  const hue = id * HUE_STEP;
  const saturation = SATURATIONS[id % 3]!;
  const lightness = LIGHTNESSES[Math.floor(id / 3) % 3]!;
  const lit = (colour: Colour): Colour => [colour[0] + light, colour[1] + light, colour[2] + light];
  const colour = lit(fromHsl(hue, saturation, lightness));
  const second = lit(fromHsl(hue + 0.08, saturation * 0.8, lightness > 0.4 ? lightness - 0.22 : lightness + 0.24));
  const texture = id % 5;
  if (texture === 0) return { id, colour, fine: 4, coarse: 16 };
  if (texture === 1) return { id, colour, fine: 8, coarse: 8, speckle: { colour: second, level: 8 } };
  return { id, colour, fine: 5, coarse: 6, grid: flatGrid(width, at, period, second, [1, 1], CELLS[texture - 2]!) };
}

const GREYS: readonly Colour[] = [
  [128, 126, 122],
  [98, 96, 100],
  [158, 154, 150],
  [112, 118, 122],
];

/** The look of what is no class, or the background: greys. */
function neutralBrush(tone: number, light: number): Brush {
  const [red, green, blue] = GREYS[tone % GREYS.length]!;
  return { id: 0, colour: [red + light, green + light, blue + light], fine: 5, coarse: 14, gradient: 24 };
}
