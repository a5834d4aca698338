import { type Box, type LabelMap, type RgbImage, type Size, wholeBox } from '../image.js';

/**
 * Resizing of 8-bit images exactly as OpenCV does it, because the published figures were made with it. Its bilinear interpolation
 * is in fixed point with 11 fractional bits (INTER_RESIZE_COEF_BITS), which differs from exact interpolation by up to one level.
 *
 * Every function can compute only a window of the result, because training crops most of a resized image away.
 */

const COEFFICIENT_ONE = 2048;

/** Rounds a non-negative number to the nearest integer, ties to the even one. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The lower of the two source pixels of each output pixel, and the weights of both; `low` may be outside the source. */
interface Taps {
  readonly low: Int32Array;
  readonly lowWeight: Int32Array;
  readonly highWeight: Int32Array;
}

/** Taps of `count` output pixels from `start` on, along an axis of `source` pixels resized to `target`. */
export function linearTaps(source: number, target: number, start: number, count: number): Taps {
  const low = new Int32Array(count);
  const lowWeight = new Int32Array(count);
  const highWeight = new Int32Array(count);
  const scale = 1 / (target / source);
  for (let i = 0; i < count; i++) {
    const position = Math.fround((start + i + 0.5) * scale - 0.5);
    const floor = Math.floor(position);
    const fraction = Math.fround(position - floor);
    low[i] = floor;
    lowWeight[i] = roundHalfToEven(Math.fround(1 - fraction) * COEFFICIENT_ONE);
    highWeight[i] = roundHalfToEven(fraction * COEFFICIENT_ONE);
  }
  return { low, lowWeight, highWeight };
}

/**
 * Columns as byte offsets of RGB pixels. Outside the source, the outermost pixel gets the whole weight. (Rows keep their weights,
 * and only the row numbers are clipped.)
 */
export function columnTaps(
  source: number,
  target: number,
  start: number,
  count: number,
): Taps & { readonly high: Int32Array } {
  const { low, lowWeight, highWeight } = linearTaps(source, target, start, count);
  const high = new Int32Array(count);
  const last = source - 1;
  for (let i = 0; i < count; i++) {
    if (low[i]! < 0 || low[i]! >= last) {
      low[i] = low[i]! < 0 ? 0 : last;
      lowWeight[i] = COEFFICIENT_ONE;
      highWeight[i] = 0;
    }
    high[i] = Math.min(low[i]! + 1, last) * 3;
    low[i] = low[i]! * 3;
  }
  return { low, high, lowWeight, highWeight };
}

/** If both sides are halved exactly, OpenCV takes the mean of 2×2 pixels instead of interpolating. */
export function isHalf(source: Size, target: Size): boolean {
  return source.height === target.height * 2 && source.width === target.width * 2;
}

function resizeByHalf(image: RgbImage, window: Box): RgbImage {
  const { data, width } = image;
  const result = new Uint8Array(window.height * window.width * 3);
  const stride = width * 3;
  let out = 0;
  for (let y = 0; y < window.height; y++) {
    let at = (window.top + y) * 2 * stride + window.left * 6;
    for (let x = 0; x < window.width; x++) {
      for (let channel = 0; channel < 3; channel++, at++) {
        const sum = data[at]! + data[at + 3]! + data[at + stride]! + data[at + stride + 3]!;
        result[out++] = (sum + 2) >> 2;
      }
      at += 3;
    }
  }
  return { height: window.height, width: window.width, data: result };
}

/**
 * Bilinear resize of an image to `size`, bit for bit that of OpenCV; only the pixels of `window`, a box of the resized
 * image, are computed and returned.
 */
export function resizeBilinear(image: RgbImage, size: Size, window: Box = wholeBox(size)): RgbImage {
  if (isHalf(image, size)) return resizeByHalf(image, window);
  const { data } = image;
  const stride = image.width * 3;
  const columns = columnTaps(image.width, size.width, window.left, window.width);
  const rows = linearTaps(image.height, size.height, window.top, window.height);
  const values = window.width * 3;
  const result = new Uint8Array(window.height * values);

  // Horizontal sums of source rows, without their lowest 4 bits, for the vertical pass. Neighbouring output rows share source
  // rows, so the last two are kept.
  const kept = [new Int32Array(values), new Int32Array(values)] as const;
  const keptRow = [-1, -1];
  const horizontal = (row: number, neighbour: number): Int32Array => {
    if (keptRow[0] === row) return kept[0];
    if (keptRow[1] === row) return kept[1];
    const slot = keptRow[0] === neighbour ? 1 : 0;
    const sums = kept[slot];
    keptRow[slot] = row;
    const base = row * stride;
    for (let x = 0, out = 0; x < window.width; x++, out += 3) {
      const low = base + columns.low[x]!;
      const high = base + columns.high[x]!;
      const a = columns.lowWeight[x]!;
      const b = columns.highWeight[x]!;
      sums[out] = (data[low]! * a + data[high]! * b) >> 4;
      sums[out + 1] = (data[low + 1]! * a + data[high + 1]! * b) >> 4;
      sums[out + 2] = (data[low + 2]! * a + data[high + 2]! * b) >> 4;
    }
    return sums;
  };

  const lastRow = image.height - 1;
  for (let y = 0; y < window.height; y++) {
    const upperRow = Math.min(Math.max(rows.low[y]!, 0), lastRow);
    const lowerRow = Math.min(Math.max(rows.low[y]! + 1, 0), lastRow);
    const upper = horizontal(upperRow, lowerRow);
    const lower = horizontal(lowerRow, upperRow);
    const a = rows.lowWeight[y]!;
    const b = rows.highWeight[y]!;
    const base = y * values;
    for (let i = 0; i < values; i++) {
      result[base + i] = (((a * upper[i]!) >> 16) + ((b * lower[i]!) >> 16) + 2) >> 2;
    }
  }
  return { height: window.height, width: window.width, data: result };
}

/** Source index of each of `count` output pixels from `start` on: rounded down. */
export function nearestIndices(source: number, target: number, start: number, count: number): Int32Array {
  const scale = 1 / (target / source);
  return Int32Array.from({ length: count }, (_, i) => Math.min(Math.floor((start + i) * scale), source - 1));
}

/** Nearest-neighbour resize of labels to `size`, bit for bit that of OpenCV; only the pixels of `window`. */
export function resizeNearest(labels: LabelMap, size: Size, window: Box = wholeBox(size)): LabelMap {
  const { data, width } = labels;
  const columns = nearestIndices(width, size.width, window.left, window.width);
  const rows = nearestIndices(labels.height, size.height, window.top, window.height);
  const result = new Uint8Array(window.height * window.width);
  let out = 0;
  for (let y = 0; y < window.height; y++) {
    const base = rows[y]! * width;
    for (let x = 0; x < window.width; x++) result[out++] = data[base + columns[x]!]!;
  }
  return { height: window.height, width: window.width, data: result };
}

/**
 * Size of an image fitted into a scale, keeping its aspect ratio. The longer side of the scale bounds the longer side of the
 * image, whichever that is, and the shorter side the shorter one.
 */
export function keepRatioSize(size: Size, scaleWh: readonly [number, number]): Size {
  const factor = Math.min(
    Math.max(...scaleWh) / Math.max(size.height, size.width),
    Math.min(...scaleWh) / Math.min(size.height, size.width),
  );
  return { height: Math.trunc(size.height * factor + 0.5), width: Math.trunc(size.width * factor + 0.5) };
}

/** A recipe's scale times a ratio, each side truncated: [width, height]. */
export function scaleByRatio(scaleWh: readonly [number, number], ratio: number): [number, number] {
  return [Math.trunc(scaleWh[0] * ratio), Math.trunc(scaleWh[1] * ratio)];
}

/** Most bytes of an image's views: as large as the scale times each ratio, with four bytes for each of three colours. */
export function largestViewsBytes([width, height]: readonly [number, number], ratios: readonly number[]): number {
  return ratios.reduce((sum, ratio) => sum + ratio ** 2, 0) * width * height * 12;
}
