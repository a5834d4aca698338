import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { MaxPoolKernels } from '../kernels.js';

/** An image's place in a frame along one axis: `before` pixels of padding (negative: cropped), `size` pixels in all. */
interface Span {
  readonly before: number;
  readonly size: number;
}

/** [N,H,W,C] → [N, rows.size, columns.size, C]: padded with `value`, or cropped, on each side. */
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
 * stride. A slice of the reshaped tensor, because strided slices are slow on the WebAssembly backend.
 */
export function phase(tf: TensorFlow, x: Tensor4D, stride: number, row: number, column: number): Tensor4D {
  if (stride === 1) return tf.clone(x);
  const [images, height, width, channels] = x.shape;
  const [rows, columns] = [height / stride, width / stride];
  return tf.tidy(() => {
    const grouped: Tensor4D = tf.reshape(x, [images * rows, stride, columns, stride * channels]);
    const slice = tf.slice4d(grouped, [0, row, 0, column * channels], [images * rows, 1, columns, channels]);
    return tf.reshape(slice, [images, rows, columns, channels]);
  });
}

/** The inverse of `phase`: from the stride² phases [N,H,W,C] in row-major order, [N, stride·H, stride·W, C]. */
function interleave(tf: TensorFlow, phases: readonly Tensor4D[], stride: number): Tensor4D {
  const [images, height, width, channels] = phases[0]!.shape;
  return tf.tidy(() => {
    const rows = Array.from({ length: stride }, (_, row) => {
      const columns = phases.slice(row * stride, (row + 1) * stride);
      return tf.reshape(tf.concat4d(columns, 3), [images * height, 1, width, stride * channels]) as Tensor4D;
    });
    return tf.reshape(tf.concat4d(rows, 1), [images, stride * height, stride * width, channels]);
  });
}

/** TensorFlow.js's core. It is passed to the kernels rather than imported, so that only an engine loads it. */
export type TensorFlow = typeof tfjs;

const WINDOW = 3;
const STRIDE = 2;
const PADDING = 1;

/** Max pool 3×3, stride 2, padding 1, and its gradient. */
export function portableMaxPoolKernels(tf: TensorFlow): MaxPoolKernels {
  /** Padded with −∞, which never wins because every window holds at least one pixel of the image. */
  function padded(x: Tensor4D, height: number, width: number): Tensor4D {
    return frame(tf, x, { before: PADDING, size: height }, { before: PADDING, size: width }, Number.NEGATIVE_INFINITY);
  }

  /**
   * Goes through the window's nine pixels in row-major order: a pixel gets the gradient if it equals the maximum and no
   * earlier one did. A pixel equals the maximum if step(y − pixel) is 0, which is several times as fast
   * as a comparison on the WebAssembly backend. Pixels of one phase (row and column parity) add up in one tensor.
   */
  function maxPoolGradient(gradient: Tensor4D, x: Tensor4D, y: Tensor4D): Tensor4D {
    const [images, height, width, channels] = y.shape;
    const [rows, columns] = [height + 1, width + 1];
    return tf.tidy(() => {
      const phases = tf.tidy(() => {
        const whole = padded(x, STRIDE * rows, STRIDE * columns);
        return [0, 1, 2, 3].map((index) => phase(tf, whole, STRIDE, index >> 1, index & 1));
      });
      const sums: (Tensor4D | undefined)[] = [undefined, undefined, undefined, undefined];
      let left: Tensor4D = gradient;
      for (let i = 0; i < WINDOW; i++) {
        for (let j = 0; j < WINDOW; j++) {
          const index = (i % STRIDE) * STRIDE + (j % STRIDE);
          const [top, start] = [Math.floor(i / STRIDE), Math.floor(j / STRIDE)];
          const rest: Tensor4D = tf.tidy(() => {
            const pixels = tf.slice4d(phases[index]!, [0, top, start, 0], [images, height, width, channels]);
            return tf.mul(left, tf.step(tf.sub(y, pixels)));
          });
          const sum = sums[index];
          sums[index] = tf.tidy(() => {
            const handed = tf.sub<Tensor4D>(left, rest);
            const taken = frame(tf, handed, { before: top, size: rows }, { before: start, size: columns });
            return sum === undefined ? taken : tf.add(sum, taken);
          });
          sum?.dispose();
          if (left !== gradient) left.dispose();
          left = rest;
        }
      }
      const whole = interleave(tf, sums as Tensor4D[], STRIDE);
      return frame(tf, whole, { before: -PADDING, size: x.shape[1] }, { before: -PADDING, size: x.shape[2] });
    });
  }

  return {
    maxPool: (x) =>
      tf.tidy(() => tf.maxPool(padded(x, x.shape[1] + 2 * PADDING, x.shape[2] + 2 * PADDING), WINDOW, STRIDE, 'valid')),
    maxPoolGradient,
  };
}
