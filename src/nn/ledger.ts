import type { ConvolutionSpec } from './architecture.js';

/** Of one image. */
export type Shape = readonly [height: number, width: number, channels: number];

/** Bytes of a value. */
export const FLOAT = 4;
export const HALF = 2;

/** Sum of live bytes, and the largest it has been. */
export class Ledger {
  live = 0;
  peak = 0;

  take(bytes: number): void {
    this.live += bytes;
    this.peak = Math.max(this.peak, this.live);
  }

  drop(bytes: number): void {
    this.live -= bytes;
  }

  /** Takes bytes for a moment. */
  touch(bytes: number): void {
    this.take(bytes);
    this.drop(bytes);
  }
}

export function outputShape({ geometry, kernel, outputChannels }: ConvolutionSpec, [height, width]: Shape): Shape {
  const { stride, dilation, padding } = geometry;
  const output = (n: number) => Math.floor((n + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  return [output(height), output(width), outputChannels];
}

/** Of the max pool: 3×3, stride 2, padding 1. */
export function pooledShape([height, width, channels]: Shape): Shape {
  const halve = (n: number) => Math.floor((n - 1) / 2) + 1;
  return [halve(height), halve(width), channels];
}
