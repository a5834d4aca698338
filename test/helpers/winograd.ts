import type { ExecutionContext } from 'ava';
import type { ConvolutionPath } from '../../src/engines/engine.js';
import type { ConvolutionShape } from '../../src/kernels/kernels.js';
import { cheapestPath } from '../../src/kernels/tensorflow/convolution-path.js';
import { assertClose, dot } from './numeric.js';
import type { Shape4 } from './reference.js';

/** A convolution 3×3 with stride 1. */
export interface Layer {
  /** Images, height, width, channels. */
  readonly shape: Shape4;
  readonly outputs: number;
  readonly dilation: number;
  /** Default: the size stays. */
  readonly padding?: number;
}

/** Odd sizes, batches of two and one pixel; channels that fill no panel of columns, nor a group of them. */
export const NARROW_LAYERS: readonly Layer[] = [
  { shape: [1, 1, 1, 16], outputs: 16, dilation: 1 },
  { shape: [2, 1, 1, 32], outputs: 16, dilation: 12 },
  { shape: [2, 7, 5, 16], outputs: 48, dilation: 1 },
  { shape: [1, 13, 6, 48], outputs: 16, dilation: 2 },
  { shape: [2, 9, 11, 16], outputs: 32, dilation: 3 },
  { shape: [1, 10, 17, 32], outputs: 32, dilation: 4 },
  { shape: [1, 13, 14, 16], outputs: 32, dilation: 6 },
  { shape: [1, 25, 27, 16], outputs: 16, dilation: 12 },
  { shape: [1, 9, 8, 32], outputs: 16, dilation: 1, padding: 0 },
  { shape: [1, 9, 8, 16], outputs: 32, dilation: 2, padding: 5 },
];

export function layerName({ shape, outputs, dilation, padding }: Layer): string {
  return `${shape.join('×')} to ${outputs}, dilation ${dilation}${padding === undefined ? '' : `, padding ${padding}`}`;
}

/** Largest errors, of the largest magnitude and of the root mean square. */
interface ErrorLimits {
  readonly largest: number;
  readonly rms: number;
}

export function assertExact(
  t: ExecutionContext,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { largest, rms }: ErrorLimits,
  what: string,
): void {
  assertClose(t, actual, expected, { ofLargest: largest }, what);
  const errors = Float64Array.from(expected, (value, i) => actual[i]! - value);
  const error = Math.sqrt(dot(errors, errors) / dot(expected, expected));
  t.true(error <= rms, `${what}: ${error} of the root mean square`);
}

/** The path with the fewest operations; default: of one image in float32. */
export function cheapest(
  output: ConvolutionShape['output'],
  channels: ConvolutionShape['channels'],
  dilation: number,
  { images = 1, halfSpeed }: { readonly images?: number; readonly halfSpeed?: number } = {},
): ConvolutionPath {
  const isHalf = halfSpeed !== undefined;
  return cheapestPath({ of: 'convolution', output, channels, dilation, images, isHalf }, halfSpeed ?? 1);
}
