import type { Draws } from '../../support/random.js';
import type { RgbImage } from '../image.js';

/**
 * One step of photometric distortion: `brightness` is added to every channel, `contrast` multiplies every channel,
 * `saturation` multiplies S of 8-bit HSV, `hue` (an integer) is added to its H, modulo 180.
 */
export interface PhotometricStep {
  readonly operation: 'brightness' | 'contrast' | 'saturation' | 'hue';
  readonly value: number;
}

/** Indices of the draws of one sample's distortion, and how many indices one sample takes. */
const DRAW = {
  brightness: 0,
  brightnessValue: 1,
  contrastFirst: 2,
  contrast: 3,
  contrastValue: 4,
  saturation: 5,
  saturationValue: 6,
  hue: 7,
  hueValue: 8,
} as const;
const DRAWS_A_SAMPLE = 16;

/** Draws the distortion of the sample at `position` in its batch; each step is taken with probability ½. */
export function drawPhotometric(draws: Draws, position: number): PhotometricStep[] {
  const base = position * DRAWS_A_SAMPLE;
  const happens = (index: number) => draws.integer(base + index, 0, 1) === 1;
  const between = (index: number, low: number, high: number) => low + draws.uniform(base + index) * (high - low);
  const steps: PhotometricStep[] = [];
  if (happens(DRAW.brightness)) {
    steps.push({ operation: 'brightness', value: between(DRAW.brightnessValue, -32, 32) });
  }
  const contrast: PhotometricStep[] = happens(DRAW.contrast)
    ? [{ operation: 'contrast', value: between(DRAW.contrastValue, 0.5, 1.5) }]
    : [];
  const contrastFirst = happens(DRAW.contrastFirst);
  if (contrastFirst) steps.push(...contrast);
  if (happens(DRAW.saturation)) {
    steps.push({ operation: 'saturation', value: between(DRAW.saturationValue, 0.5, 1.5) });
  }
  // −18 … 17: the original draws from a half-open range.
  if (happens(DRAW.hue)) steps.push({ operation: 'hue', value: draws.integer(base + DRAW.hueValue, -18, 17) });
  if (!contrastFirst) steps.push(...contrast);
  return steps;
}

/** What v·factor + shift becomes for every byte v: in float32, clipped to a byte, truncated. */
function affineTable(factor: number, shift: number): Uint8Array {
  const { fround } = Math;
  return Uint8Array.from({ length: 256 }, (_, value) => {
    const result = fround(fround(value * fround(factor)) + fround(shift));
    return Math.trunc(Math.min(Math.max(result, 0), 255));
  });
}

/** Replaces one channel of HSV pixels by its entry in a table. */
function mapChannel(pixels: Uint8Array, channel: 0 | 1, table: Uint8Array): void {
  for (let i = channel; i < pixels.length; i += 3) pixels[i] = table[pixels[i]!]!;
}

/** Applies the steps in order, in place. Every step leaves 8-bit RGB, so steps do not commute or merge. */
export function distort(image: RgbImage, steps: readonly PhotometricStep[]): void {
  const { data, width } = image;
  for (const { operation, value } of steps) {
    switch (operation) {
      case 'brightness':
      case 'contrast': {
        const table = operation === 'brightness' ? affineTable(1, value) : affineTable(value, 0);
        for (let i = 0; i < data.length; i++) data[i] = table[data[i]!]!;
        break;
      }
      case 'saturation':
        rgbToHsv(data);
        mapChannel(data, 1, affineTable(value, 0));
        hsvToRgb(data, width);
        break;
      case 'hue': {
        rgbToHsv(data);
        mapChannel(
          data,
          0,
          Uint8Array.from({ length: 180 }, (_, hue) => (hue + value + 180) % 180),
        );
        hsvToRgb(data, width);
        break;
      }
    }
  }
}

/**
 * 8-bit HSV as OpenCV defines it: hue 0 … 179 (two degrees a step), saturation and value 0 … 255. Both directions
 * reproduce OpenCV's arithmetic to the bit: integers one way, float32 with fused multiply-adds the other way.
 */

/** Fractional bits of the integer conversion's divisions. */
const SHIFT = 12;
const HALF = 1 << (SHIFT - 1);

/** `numerator / i` for every 8-bit i, rounded; 0 for 0. */
function divisionTable(numerator: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, i) => (i === 0 ? 0 : Math.round(numerator / i)));
}

const SATURATION_DIVISION = divisionTable(255 << SHIFT);
const HUE_DIVISION = divisionTable((180 << SHIFT) / 6);

/** Converts RGB pixels to HSV, in place: `pixels` is [count, 3]. */
export function rgbToHsv(pixels: Uint8Array): void {
  for (let i = 0; i < pixels.length; i += 3) {
    const red = pixels[i]!;
    const green = pixels[i + 1]!;
    const blue = pixels[i + 2]!;
    const value = Math.max(red, green, blue);
    const least = Math.min(red, green, blue);
    const range = value - least;
    const sector = value === red ? green - blue : value === green ? blue - red + 2 * range : red - green + 4 * range;
    const hue = (sector * HUE_DIVISION[range]! + HALF) >> SHIFT;
    pixels[i] = hue < 0 ? hue + 180 : hue;
    pixels[i + 1] = (range * SATURATION_DIVISION[value]! + HALF) >> SHIFT;
    pixels[i + 2] = value;
  }
}

/** Columns that OpenCV's vector code takes at a time. */
const VECTOR_COLUMNS = 64;

/** Hue as a position on the circle of six sectors: the sector, and the float32 fraction within it. */
const SECTOR = new Uint8Array(180);
const FRACTION = new Float32Array(180);
for (let hue = 0; hue < 180; hue++) {
  const position = Math.fround(hue * Math.fround(6 / 180));
  SECTOR[hue] = Math.floor(position);
  FRACTION[hue] = position - SECTOR[hue]!;
}

const ROUND_TO_INTEGER = 2 ** 23;

const BYTE_TO_UNIT = Math.fround(1 / 255);
const UNIT = Float32Array.from({ length: 256 }, (_, i) => Math.fround(i * BYTE_TO_UNIT));

/**
 * Converts HSV pixels to RGB, in place: `pixels` is [rows, rowLength, 3].
 *
 * OpenCV truncates the result in its vector code and rounds it in the scalar code that takes the rest of each row, so
 * the first `truncatedColumns` of a row are truncated.
 */
export function hsvToRgb(
  pixels: Uint8Array,
  rowLength: number,
  truncatedColumns = rowLength - (rowLength % VECTOR_COLUMNS),
): void {
  const { fround } = Math;
  for (let row = 0; row < pixels.length; row += rowLength * 3) {
    for (let column = 0; column < rowLength; column++) {
      const i = row + column * 3;
      const hue = pixels[i]!;
      const saturation = UNIT[pixels[i + 1]!]!;
      const value = UNIT[pixels[i + 2]!]!;
      const fraction = FRACTION[hue]!;
      // The product of two float32 is exact in double, so 1 − a·b rounds once, like the fused multiply-add it is there.
      const rising = fround(value * fround(1 - saturation * fround(1 - fraction)));
      const falling = fround(value * fround(1 - saturation * fraction));
      const low = fround(value * fround(1 - saturation));
      // A float32 sum with 2^23 is an integer: this rounds, ties to even, and without it the fraction is cut off.
      const rounding = column < truncatedColumns ? 0 : ROUND_TO_INTEGER;
      const top = (fround(fround(value * 255) + rounding) - rounding) | 0;
      const bottom = (fround(fround(low * 255) + rounding) - rounding) | 0;
      const sector = SECTOR[hue]!;
      const partial = sector & 1 ? falling : rising;
      const middle = (fround(fround(partial * 255) + rounding) - rounding) | 0;
      switch (sector) {
        case 0:
          pixels[i] = top;
          pixels[i + 1] = middle;
          pixels[i + 2] = bottom;
          break;
        case 1:
          pixels[i] = middle;
          pixels[i + 1] = top;
          pixels[i + 2] = bottom;
          break;
        case 2:
          pixels[i] = bottom;
          pixels[i + 1] = top;
          pixels[i + 2] = middle;
          break;
        case 3:
          pixels[i] = bottom;
          pixels[i + 1] = middle;
          pixels[i + 2] = top;
          break;
        case 4:
          pixels[i] = middle;
          pixels[i + 1] = bottom;
          pixels[i + 2] = top;
          break;
        default:
          pixels[i] = top;
          pixels[i + 1] = bottom;
          pixels[i + 2] = middle;
      }
    }
  }
}
