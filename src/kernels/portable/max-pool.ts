import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../kernels.js';
import { frame, interleave, phase, type TensorFlow } from './window.js';

const WINDOW = 3;
const STRIDE = 2;
const PADDING = 1;

/** Max pool 3×3, stride 2, padding 1, and its gradient. */
export function maxPoolKernels(tf: TensorFlow): Pick<Kernels, 'maxPool' | 'maxPoolGradient'> {
  /** Padded with −∞, which never wins because every window holds at least one pixel of the image. */
  function padded(x: Tensor4D, height: number, width: number): Tensor4D {
    return frame(tf, x, { before: PADDING, size: height }, { before: PADDING, size: width }, Number.NEGATIVE_INFINITY);
  }

  function maxPool(x: Tensor4D): Tensor4D {
    return tf.tidy(() =>
      tf.maxPool(padded(x, x.shape[1] + 2 * PADDING, x.shape[2] + 2 * PADDING), WINDOW, STRIDE, 'valid'),
    );
  }

  /**
   * Goes through the window's nine pixels in row-major order: each hands its gradient to the pixel if that equals the
   * maximum and no earlier one did. A pixel equals the maximum where step(y − pixel) is 0, which is several times as fast
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
            const taken = frame(
              tf,
              tf.sub<Tensor4D>(left, rest),
              { before: top, size: rows },
              { before: start, size: columns },
            );
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

  return { maxPool, maxPoolGradient };
}
