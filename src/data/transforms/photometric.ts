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

/** Indices of the draws of one sample's distortion, and how many are reserved for it. */
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

/** v·factor + shift for every byte v: in float32, clipped to a byte, truncated. */
export function affineTable(factor: number, shift: number): Uint8Array {
  const { fround } = Math;
  return Uint8Array.from({ length: 256 }, (_, value) => {
    const result = fround(fround(value * fround(factor)) + fround(shift));
    return Math.trunc(Math.min(Math.max(result, 0), 255));
  });
}

/** Replaces every `step`-th byte from `first` on by its entry in a table. */
function applyTable(bytes: Uint8Array, table: Uint8Array, first: number, step: number): void {
  for (let i = first; i < bytes.length; i += step) bytes[i] = table[bytes[i]!]!;
}

/** Applies a table to one channel of the HSV of RGB pixels, [count, 3] in rows of `width`. */
function mapHsv(pixels: Uint8Array, width: number, channel: 0 | 1, table: Uint8Array): void {
  rgbToHsv(pixels);
  applyTable(pixels, table, channel, 3);
  hsvToRgb(pixels, width);
}

/** Applies the steps in order, in place. Every step leaves 8-bit RGB, so steps neither commute nor merge. */
export function distort({ data, width }: RgbImage, steps: readonly PhotometricStep[]): void {
  for (const { operation, value } of steps) {
    switch (operation) {
      case 'brightness':
        applyTable(data, affineTable(1, value), 0, 1);
        break;
      case 'contrast':
        applyTable(data, affineTable(value, 0), 0, 1);
        break;
      case 'saturation':
        mapHsv(data, width, 1, affineTable(value, 0));
        break;
      case 'hue':
        mapHsv(
          data,
          width,
          0,
          Uint8Array.from({ length: 180 }, (_, hue) => (hue + value + 180) % 180),
        );
        break;
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

/** OpenCV's vector code converts 64 columns at a time. It cuts off what it converts; the rest of a row is rounded. */
export const truncatedColumns = (rowLength: number): number => rowLength - (rowLength % 64);

/** Of each hue: the channels (red 0, green 1, blue 2) with the largest, the middle and the smallest value. */
const LARGEST = new Uint8Array(180);
const MIDDLE = new Uint8Array(180);
const SMALLEST = new Uint8Array(180);
/** Of each hue: how far the middle value is from the largest (0) to the smallest (1), at full saturation. */
const MIDDLE_WEIGHT = new Float32Array(180);
for (let hue = 0; hue < 180; hue++) {
  const position = Math.fround(hue * Math.fround(6 / 180));
  const sector = Math.floor(position);
  const fraction = Math.fround(position - sector);
  MIDDLE_WEIGHT[hue] = sector % 2 === 0 ? 1 - fraction : fraction;
  LARGEST[hue] = [0, 1, 1, 2, 2, 0][sector]!;
  MIDDLE[hue] = [1, 0, 2, 1, 0, 2][sector]!;
  SMALLEST[hue] = [2, 2, 0, 0, 1, 1][sector]!;
}

const ROUND_TO_INTEGER = 2 ** 23;

const BYTE_TO_UNIT = Math.fround(1 / 255);
const UNIT = Float32Array.from({ length: 256 }, (_, i) => Math.fround(i * BYTE_TO_UNIT));

/**
 * Converts HSV pixels to RGB, in place: `pixels` is [rows, rowLength, 3].
 *
 * The first `truncated` columns of a row are truncated, the others rounded.
 */
export function hsvToRgb(pixels: Uint8Array, rowLength: number, truncated = truncatedColumns(rowLength)): void {
  const { fround } = Math;
  for (let row = 0; row < pixels.length; row += rowLength * 3) {
    for (let column = 0; column < rowLength; column++) {
      const i = row + column * 3;
      const hue = pixels[i]!;
      const saturation = UNIT[pixels[i + 1]!]!;
      const largest = UNIT[pixels[i + 2]!]!;
      // The product of two float32 is exact in double, so 1 − a·b rounds once, like the fused multiply-add it is there.
      const middle = fround(largest * fround(1 - saturation * MIDDLE_WEIGHT[hue]!));
      const smallest = fround(largest * fround(1 - saturation));
      // A float32 sum with 2^23 is an integer: this rounds, ties to even. Without it, the fraction is cut off.
      const rounding = column < truncated ? 0 : ROUND_TO_INTEGER;
      pixels[i + LARGEST[hue]!] = fround(fround(largest * 255) + rounding) - rounding;
      pixels[i + MIDDLE[hue]!] = fround(fround(middle * 255) + rounding) - rounding;
      pixels[i + SMALLEST[hue]!] = fround(fround(smallest * 255) + rounding) - rounding;
    }
  }
}
