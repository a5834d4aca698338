import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Dataset } from '../data/dataset.js';
import { encodePalettePng, encodePng } from '../data/png-write.js';
import { TRAINING_CLASSES } from '../datasets/generate/imitations.js';
import { LABEL_NAMES } from '../datasets/prepare/labels.js';
import type { Engine } from '../engines/engine.js';
import type { EvaluationRecipe } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';

/** For output rows `from` … `to` − 1 of a bilinear resize: the two input rows of each and the second one's weight. */
interface RowInterpolation {
  readonly low: Int32Array;
  readonly high: Int32Array;
  /** output = low + (high − low)·weight. */
  readonly weight: Float32Array;
}

/**
 * Where the rows [from, to) of a resize from `inputSize` to `outputSize` rows come from.
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
 * A map of `inputSize` rows, resized to `outputSize` rows, of which only those asked for are computed.
 * The bilinear resize is separable, so rows and columns may be resized one after the other.
 */
export function resizedRows(
  engine: Engine,
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

/** The rows as a product of a matrix, two entries a row, with those of `input`, [1, H, W, C], which starts at row `first`. */
function multiplied({ tf }: Engine, input: Tensor4D, first: number, { low, high, weight }: RowInterpolation): Tensor4D {
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

/** The same, low + (high − low)·weight. */
function gathered({ tf }: Engine, input: Tensor4D, first: number, { low, high, weight }: RowInterpolation): Tensor4D {
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

/** Rows of a [1, H, W, C] tensor that stays with its owner. */
export function rowsOf(engine: Engine, x: Tensor4D): RowSource {
  return (from, to) => engine.tf.slice(x, [0, from, 0, 0], [1, to - from, -1, -1]);
}

/** What of a recipe decides the windows. */
export type InferenceMode = Pick<EvaluationRecipe, 'mode' | 'cropHw' | 'strideHw'>;

/** A rectangle of an image, in pixels. */
export interface Window {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/**
 * The windows that the network runs over for an image of `size`, [height, width]: one of the whole image, or those of slide
 * inference.
 * @throws Error when the recipe slides but names no crop or stride.
 */
export function inferenceWindows({ mode, cropHw, strideHw }: InferenceMode, size: readonly [number, number]): Window[] {
  if (mode === 'whole') return [{ top: 0, left: 0, height: size[0], width: size[1] }];
  if (cropHw === null || strideHw === null) throw new Error('Slide inference needs cropHw and strideHw.');
  return slideWindows(size, cropHw, strideHw);
}

/**
 * The windows of slide inference over an image of `size`, row by row; sizes are [height, width].
 *
 * Along each axis there are ⌊max(size − crop + stride − 1, 0)/stride⌋ + 1 of them, `stride` apart; one that would stick
 * out is shifted back inside, and one larger than the image is cut to it (not padded).
 */
export function slideWindows(
  size: readonly [number, number],
  crop: readonly [number, number],
  stride: readonly [number, number],
): Window[] {
  const rows = slideSpans(size[0], crop[0], stride[0]);
  const columns = slideSpans(size[1], crop[1], stride[1]);
  return rows.flatMap(([top, height]) => columns.map(([left, width]) => ({ top, left, height, width })));
}

/** [start, length] of the windows along one axis. */
function slideSpans(size: number, crop: number, stride: number): [number, number][] {
  const count = Math.floor(Math.max(size - crop + stride - 1, 0) / stride) + 1;
  return Array.from({ length: count }, (_, i) => {
    const end = Math.min(i * stride + crop, size);
    const start = Math.max(end - crop, 0);
    return [start, end - start];
  });
}

const CLASS_NAMES = TRAINING_CLASSES.map((id) => LABEL_NAMES[id]);

/**
 * Cityscapes' server takes label ids, not training ids.
 * @throws UserError where the classes of a data set are not the 19 of Cityscapes, in their order.
 */
export function requireLabelIds({ name, classes }: Pick<Dataset, 'name' | 'classes'>): void {
  const isCityscapes = classes.length === CLASS_NAMES.length && classes.every((one, id) => one === CLASS_NAMES[id]);
  if (isCityscapes) return;
  throw new UserError(
    `--label-ids writes the label ids of Cityscapes, and the classes of ${name} are not those of Cityscapes.`,
    'Leave it out, or give a row of Cityscapes.',
  );
}

/**
 * The PNG of a prediction, [height, width] of training ids: in the classes' colours, or a grey one of Cityscapes' label ids.
 * Of the latter, the data set must be Cityscapes.
 */
export async function encodePrediction(
  prediction: Uint8Array,
  width: number,
  height: number,
  { palette }: Pick<Dataset, 'palette'>,
  labelIds: boolean,
): Promise<Buffer> {
  if (!labelIds) return encodePalettePng(prediction, width, height, palette);
  const ids = prediction.map((trainingId) => TRAINING_CLASSES[trainingId]!);
  return encodePng(ids, { height, width }, { colourType: 'grey', filter: 'none', level: 6 });
}
