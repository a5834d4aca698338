import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor4D } from '@tensorflow/tfjs-core';

/** Where an image lies in a frame along one axis: `before` pixels of padding (negative: cropped), `size` pixels in all. */
export interface Span {
  readonly before: number;
  readonly size: number;
}

/** [N,H,W,C] → [N, rows.size, columns.size, C]: padded with `value`, or cropped, on each side as the spans say. */
export function frame(tf: TensorFlow, x: Tensor4D, rows: Span, columns: Span, value = 0): Tensor4D {
  const [images, height, width, channels] = x.shape;
  const top = Math.max(rows.before, 0);
  const left = Math.max(columns.before, 0);
  const bottom = Math.max(rows.size - rows.before - height, 0);
  const right = Math.max(columns.size - columns.before - width, 0);
  return tf.tidy(() => {
    const none: [number, number] = [0, 0];
    const padded = top + left + bottom + right > 0 ? tf.pad4d(x, [none, [top, bottom], [left, right], none], value) : x;
    if (padded.shape[1] === rows.size && padded.shape[2] === columns.size) return tf.clone(padded);
    return tf.slice4d(
      padded,
      [0, Math.max(-rows.before, 0), Math.max(-columns.before, 0), 0],
      [images, rows.size, columns.size, channels],
    );
  });
}

/**
 * Every `stride`-th pixel of [N,H,W,C] from (row, column) on: [N, H/stride, W/stride, C]. H and W are multiples of the
 * stride. As a slice of the reshaped tensor, because strided slices are slow on the WebAssembly backend.
 */
export function phase(tf: TensorFlow, x: Tensor4D, stride: number, row: number, column: number): Tensor4D {
  if (stride === 1) return tf.clone(x);
  const [images, height, width, channels] = x.shape;
  const [rows, columns] = [height / stride, width / stride];
  return tf.tidy(() => {
    const grouped = tf.reshape(x, [images * rows, stride, columns, stride * channels]) as Tensor4D;
    const slice = tf.slice4d(grouped, [0, row, 0, column * channels], [images * rows, 1, columns, channels]);
    return tf.reshape(slice, [images, rows, columns, channels]) as Tensor4D;
  });
}

/** The inverse of `phase`: from the stride² phases [N,H,W,C] in row-major order, [N, stride·H, stride·W, C]. */
export function interleave(tf: TensorFlow, phases: readonly Tensor4D[], stride: number): Tensor4D {
  const [images, height, width, channels] = phases[0]!.shape;
  return tf.tidy(() => {
    const rows = Array.from({ length: stride }, (_, row) => {
      const columns = phases.slice(row * stride, (row + 1) * stride);
      return tf.reshape(tf.concat4d(columns, 3), [images * height, 1, width, stride * channels]) as Tensor4D;
    });
    const joined = tf.concat4d(rows, 1);
    return tf.reshape(joined, [images, stride * height, stride * width, channels]) as Tensor4D;
  });
}

/** TensorFlow.js's core. It is passed to the kernels rather than imported, so that only an engine loads it. */
export type TensorFlow = typeof tfjs;
