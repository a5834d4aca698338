/**
 * The networks' operations in float64, by plain loops: what kernels are compared with. NHWC; only what is obvious from
 * the definition, and no gradients but where a finite difference has none (ties of the max pool).
 */

export type Shape4 = readonly [number, number, number, number];

export interface Geometry {
  readonly stride: number;
  readonly dilation: number;
  readonly padding: number;
}

export function size([a, b, c, d]: Shape4): number {
  return a * b * c * d;
}

/** Shape of the convolution of [N,H,W,I] with a filter [kh,kw,I,O]. */
export function convolutionShape(xShape: Shape4, filterShape: Shape4, { stride, dilation, padding }: Geometry): Shape4 {
  const extent = (input: number, kernel: number) =>
    Math.floor((input + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  return [xShape[0], extent(xShape[1], filterShape[0]), extent(xShape[2], filterShape[1]), filterShape[3]];
}

export function convolution(
  x: ArrayLike<number>,
  xShape: Shape4,
  filter: ArrayLike<number>,
  filterShape: Shape4,
  geometry: Geometry,
): Float64Array {
  const [images, height, width, inputs] = xShape;
  const [kernelHeight, kernelWidth, , outputs] = filterShape;
  const { stride, dilation, padding } = geometry;
  const [, outHeight, outWidth] = convolutionShape(xShape, filterShape, geometry);
  const y = new Float64Array(images * outHeight * outWidth * outputs);
  for (let n = 0; n < images; n++) {
    for (let h = 0; h < outHeight; h++) {
      for (let w = 0; w < outWidth; w++) {
        const target = ((n * outHeight + h) * outWidth + w) * outputs;
        for (let i = 0; i < kernelHeight; i++) {
          const row = h * stride + i * dilation - padding;
          if (row < 0 || row >= height) continue;
          for (let j = 0; j < kernelWidth; j++) {
            const column = w * stride + j * dilation - padding;
            if (column < 0 || column >= width) continue;
            const source = ((n * height + row) * width + column) * inputs;
            for (let c = 0; c < inputs; c++) {
              const taps = ((i * kernelWidth + j) * inputs + c) * outputs;
              for (let o = 0; o < outputs; o++) y[target + o]! += x[source + c]! * filter[taps + o]!;
            }
          }
        }
      }
    }
  }
  return y;
}

/** Mean and biased variance of each channel. */
export function channelStatistics(
  x: ArrayLike<number>,
  channels: number,
): { mean: Float64Array; variance: Float64Array } {
  const count = x.length / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (let i = 0; i < x.length; i++) mean[i % channels]! += x[i]! / count;
  for (let i = 0; i < x.length; i++) variance[i % channels]! += (x[i]! - mean[i % channels]!) ** 2 / count;
  return { mean, variance };
}

export function batchNorm(
  x: ArrayLike<number>,
  gamma: ArrayLike<number>,
  beta: ArrayLike<number>,
  epsilon: number,
): Float64Array {
  const channels = gamma.length;
  const { mean, variance } = channelStatistics(x, channels);
  return Float64Array.from(x, (value, i) => {
    const c = i % channels;
    return (gamma[c]! * (value - mean[c]!)) / Math.sqrt(variance[c]! + epsilon) + beta[c]!;
  });
}

/** Shape of the 3×3, stride 2, padding 1 pool. */
export function poolShape([images, height, width, channels]: Shape4): Shape4 {
  return [images, Math.ceil(height / 2), Math.ceil(width / 2), channels];
}

/** The index in x of each output's maximum, the first in row-major order. */
export function poolWinners(x: ArrayLike<number>, xShape: Shape4): Int32Array {
  const [images, height, width, channels] = xShape;
  const [, outHeight, outWidth] = poolShape(xShape);
  const winners = new Int32Array(images * outHeight * outWidth * channels).fill(-1);
  for (let target = 0; target < winners.length; target++) {
    const c = target % channels;
    const w = Math.floor(target / channels) % outWidth;
    const h = Math.floor(target / (channels * outWidth)) % outHeight;
    const n = Math.floor(target / (channels * outWidth * outHeight));
    for (let row = Math.max(2 * h - 1, 0); row <= Math.min(2 * h + 1, height - 1); row++) {
      for (let column = Math.max(2 * w - 1, 0); column <= Math.min(2 * w + 1, width - 1); column++) {
        const index = ((n * height + row) * width + column) * channels + c;
        if (winners[target] === -1 || x[index]! > x[winners[target]!]!) winners[target] = index;
      }
    }
  }
  return winners;
}

export function maxPool(x: ArrayLike<number>, xShape: Shape4): Float64Array {
  return Float64Array.from(poolWinners(x, xShape), (winner) => x[winner]!);
}

export function maxPoolGradient(gradient: ArrayLike<number>, x: ArrayLike<number>, xShape: Shape4): Float64Array {
  const result = new Float64Array(size(xShape));
  poolWinners(x, xShape).forEach((winner, i) => {
    result[winner]! += gradient[i]!;
  });
  return result;
}

/** The two input pixels around the source of output pixel `d`, and the weight of the second. */
function neighbours(
  d: number,
  input: number,
  output: number,
  alignCorners: boolean,
): { lower: number; upper: number; weight: number } {
  let source: number;
  if (alignCorners) source = output === 1 ? 0 : (d * (input - 1)) / (output - 1);
  else source = Math.max(((d + 0.5) * input) / output - 0.5, 0);
  const lower = Math.min(Math.floor(source), input - 1);
  return { lower, upper: Math.min(lower + 1, input - 1), weight: source - lower };
}

export function resizeBilinear(
  x: ArrayLike<number>,
  [images, height, width, channels]: Shape4,
  [outHeight, outWidth]: readonly [number, number],
  alignCorners: boolean,
): Float64Array {
  const y = new Float64Array(images * outHeight * outWidth * channels);
  const at = (n: number, row: number, column: number, c: number) =>
    x[((n * height + row) * width + column) * channels + c]!;
  let target = 0;
  for (let n = 0; n < images; n++) {
    for (let h = 0; h < outHeight; h++) {
      const rows = neighbours(h, height, outHeight, alignCorners);
      for (let w = 0; w < outWidth; w++) {
        const columns = neighbours(w, width, outWidth, alignCorners);
        for (let c = 0; c < channels; c++) {
          const along = (row: number) =>
            at(n, row, columns.lower, c) * (1 - columns.weight) + at(n, row, columns.upper, c) * columns.weight;
          y[target++] = along(rows.lower) * (1 - rows.weight) + along(rows.upper) * rows.weight;
        }
      }
    }
  }
  return y;
}

/** Over the last axis. */
export function softmax(x: ArrayLike<number>, classes: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += classes) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) largest = Math.max(largest, x[start + c]!);
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += Math.exp(x[start + c]! - largest);
    for (let c = 0; c < classes; c++) y[start + c] = Math.exp(x[start + c]! - largest) / sum;
  }
  return y;
}

/** The first of the largest values along the last axis. */
export function argmax(x: ArrayLike<number>, classes: number): Int32Array {
  return Int32Array.from({ length: x.length / classes }, (_, pixel) => {
    let best = 0;
    for (let c = 1; c < classes; c++) if (x[pixel * classes + c]! > x[pixel * classes + best]!) best = c;
    return best;
  });
}

/** Mean over all pixels, ignored ones counting 0. */
export function crossEntropy(
  logits: ArrayLike<number>,
  classes: number,
  labels: ArrayLike<number>,
  ignoreIndex: number,
): number {
  let total = 0;
  for (let pixel = 0; pixel < labels.length; pixel++) {
    if (labels[pixel] === ignoreIndex) continue;
    const start = pixel * classes;
    let largest = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) largest = Math.max(largest, logits[start + c]!);
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += Math.exp(logits[start + c]! - largest);
    total += largest + Math.log(sum) - logits[start + labels[pixel]!]!;
  }
  return total / labels.length;
}
