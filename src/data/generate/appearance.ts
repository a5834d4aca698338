import { flatGrid } from './camera.js';
import type { Brush, Colour, Point } from './canvas.js';

/** Turns between the hues of neighbouring ids: the golden section, which spreads any number of them evenly. */
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

/** Share of a pattern's cell, across and up, that has the second colour: stripes, bars, windows. */
const CELLS: readonly (readonly [number, number])[] = [
  [0.5, 1],
  [1, 0.45],
  [0.6, 0.6],
];

/**
 * How a class looks, wherever it is: a colour and one of five textures of its own, the same in every data set of every seed.
 * @param at Corner that the texture starts from, in pixels.
 * @param period Pixels after which a pattern repeats.
 * @param light Levels added to all colours: the light of the scene.
 */
export function brushOf(id: number, width: number, at: Point, period: number, light: number): Brush {
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

/** What is no class, or the background: greys. */
export function neutralBrush(tone: number, light: number): Brush {
  const [red, green, blue] = GREYS[tone % GREYS.length]!;
  return { id: 0, colour: [red + light, green + light, blue + light], fine: 5, coarse: 14, gradient: 24 };
}
