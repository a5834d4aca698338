import type { Draws } from '../../support/random.js';
import type { RgbImage } from '../image.js';
import { hsvToRgb, rgbToHsv } from './hsv.js';

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
