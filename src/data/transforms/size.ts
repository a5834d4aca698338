import type { Size } from '../image.js';

/**
 * Size of an image fitted into a scale, keeping its aspect ratio. The scale is unordered: its longer side bounds the
 * image's longer side, its shorter side the shorter one.
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

/** Bytes of an image's views at each ratio of a scale, at most: as large as the scale, four bytes for each of three colours. */
export function largestViewsBytes([width, height]: readonly [number, number], ratios: readonly number[]): number {
  return ratios.reduce((sum, ratio) => sum + ratio ** 2, 0) * width * height * 12;
}
