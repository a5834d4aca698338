import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { ComputingEngine } from '../engines/engine.js';

/** For each output row of a bilinear resize: its two input rows, and the second one's weight. */
interface RowInterpolation {
  readonly low: Int32Array;
  readonly high: Int32Array;
  /** output = low + (high − low)·weight. */
  readonly weight: Float32Array;
}

/**
 * The output rows [from, to) of a resize from `inputSize` to `outputSize` rows.
 * Aligned: source = d·(in − 1)/(out − 1); otherwise source = max((d + 0.5)·in/out − 0.5, 0), clipped at the far edge.
 */
function rowInterpolation(
  inputSize: number,
  outputSize: number,
  alignCorners: boolean,
  from: number,
  to: number,
): RowInterpolation {
  const low = new Int32Array(to - from);
  const high = new Int32Array(to - from);
  const weight = new Float32Array(to - from);
  for (let i = 0; i < low.length; i++) {
    const row = from + i;
    // A single output row, aligned, is the first input row.
    const source = alignCorners
      ? (row * (inputSize - 1)) / Math.max(outputSize - 1, 1)
      : Math.max(((row + 0.5) * inputSize) / outputSize - 0.5, 0);
    low[i] = Math.min(Math.floor(source), inputSize - 1);
    high[i] = Math.min(low[i]! + 1, inputSize - 1);
    weight[i] = source - low[i]!;
  }
  return { low, high, weight };
}

/** Gives rows [from, to) of a map: [1, to − from, W, C], owned by the caller. */
export type RowSource = (from: number, to: number) => Tensor4D;

/**
 * A map of `inputSize` rows, resized to `outputSize` rows; only requested rows are computed.
 * The bilinear resize is separable, so rows and columns may be resized one after the other.
 */
export function resizedRows(
  engine: ComputingEngine,
  source: RowSource,
  inputSize: number,
  outputSize: number,
  alignCorners: boolean,
): RowSource {
  if (inputSize === outputSize) return source;
  // On a CPU a matrix product is several times as fast as gathering (a hundred times in WebAssembly); on a GPU it may round
  // its inputs to 10 bits (TF32).
  const interpolate = engine.device === 'gpu' ? gathered : multiplied;
  return (from, to) => {
    const rows = rowInterpolation(inputSize, outputSize, alignCorners, from, to);
    const first = rows.low[0]!;
    const input = source(first, rows.high.at(-1)! + 1);
    try {
      return engine.tf.tidy(() => interpolate(engine, input, first, rows));
    } finally {
      input.dispose();
    }
  };
}

/** The rows as a matrix product: two weights a row, times the rows of `input`, [1, H, W, C], which starts at row `first`. */
function multiplied(
  { tf }: ComputingEngine,
  input: Tensor4D,
  first: number,
  { low, high, weight }: RowInterpolation,
): Tensor4D {
  const [, height, width, channels] = input.shape;
  const matrix = new Float32Array(weight.length * height);
  for (let i = 0; i < weight.length; i++) {
    matrix[i * height + low[i]! - first]! += 1 - weight[i]!;
    matrix[i * height + high[i]! - first]! += weight[i]!;
  }
  const flat = tf.reshape(input, [height, width * channels]);
  const product = tf.matMul(tf.tensor2d(matrix, [weight.length, height]), flat);
  return tf.reshape(product, [1, weight.length, width, channels]);
}

/** The same rows as low + (high − low)·weight. */
function gathered(
  { tf }: ComputingEngine,
  input: Tensor4D,
  first: number,
  { low, high, weight }: RowInterpolation,
): Tensor4D {
  const gather = (rows: Int32Array): Tensor4D =>
    tf.gather(
      input,
      tf.tensor1d(
        rows.map((row) => row - first),
        'int32',
      ),
      1,
    );
  const below = gather(low);
  const difference: Tensor4D = tf.sub(gather(high), below);
  return tf.add(below, tf.mul(difference, tf.tensor4d(weight, [1, weight.length, 1, 1])));
}

/** Rows of a [1, H, W, C] tensor, whose owner stays the same. */
export function rowsOf(engine: ComputingEngine, x: Tensor4D): RowSource {
  return (from, to) => engine.tf.slice(x, [0, from, 0, 0], [1, to - from, -1, -1]);
}
