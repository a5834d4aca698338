import test from 'ava';
import { assertClose, dot, finiteDifferences, normals } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import { execute, image, type Subject, shaped } from './subject.js';

/** Input shape and output size: up and down, by whole and by broken factors, to and from a single pixel. */
const CASES = [
  { shape: [2, 4, 5, 3], size: [8, 10] },
  { shape: [1, 8, 16, 2], size: [64, 128] },
  { shape: [2, 9, 7, 2], size: [5, 3] },
  { shape: [1, 13, 9, 2], size: [29, 17] },
  { shape: [1, 17, 33, 1], size: [65, 97] },
  { shape: [1, 16, 12, 2], size: [4, 3] },
  { shape: [1, 5, 6, 2], size: [5, 6] },
  { shape: [2, 1, 1, 3], size: [4, 3] },
  { shape: [1, 4, 3, 2], size: [1, 1] },
  { shape: [1, 1, 7, 2], size: [3, 1] },
] as const;

export function resizeTests(subject: Subject): void {
  const { kernels } = subject;
  for (const alignCorners of [false, true]) {
    const mode = alignCorners ? 'aligned corners' : 'half-pixel centres';
    for (const { shape, size } of CASES) {
      test(`${subject.name}: resize ${shape.join('×')} to ${size.join('×')}, ${mode}`, (t) => {
        const [images, height, width, channels] = shape;
        const yShape = [images, ...size, channels] as const;
        const x = normals(1, reference.size(shape));
        const gradient = normals(2, reference.size(yShape));

        const { y } = execute(t, subject, { x: image(x, shape) }, (tensors) => ({
          y: shaped(t, kernels.resizeBilinear(tensors.x, size, alignCorners), yShape),
        }));
        // Backends compute the source's position in float32: 1e-7 of a width of 33 pixels. Measured: 2.4e-6.
        assertClose(t, y, reference.resizeBilinear(x, shape, size, alignCorners), { ofLargest: 5e-6 }, 'y');

        const { dx } = execute(t, subject, { gradient: image(gradient, yShape) }, (tensors) => ({
          dx: shaped(t, kernels.resizeBilinearGradient(tensors.gradient, [height, width], alignCorners), shape),
        }));
        const ofX = (at: Float64Array) => dot(gradient, reference.resizeBilinear(at, shape, size, alignCorners));
        assertClose(t, dx, finiteDifferences(ofX, x, 1), { ofLargest: 5e-6 }, 'input gradient');
      });
    }

    test(`${subject.name}: resize's gradient is its adjoint, ${mode}`, (t) => {
      const xShape = [2, 33, 65, 19] as const;
      const yShape = [2, 257, 513, 19] as const;
      const x = normals(3, reference.size(xShape));
      const gradient = normals(4, reference.size(yShape));
      const inputs = { x: image(x, xShape), gradient: image(gradient, yShape) };
      const { y, dx } = execute(t, subject, inputs, (tensors) => ({
        y: kernels.resizeBilinear(tensors.x, [257, 513], alignCorners),
        dx: kernels.resizeBilinearGradient(tensors.gradient, [33, 65], alignCorners),
      }));
      const scale = Math.sqrt(dot(y, y) * dot(gradient, gradient));
      // Five million roundings cancel. Measured: 1e-9.
      assertClose(t, [dot(x, dx)], [dot(y, gradient)], { absolute: 4e-9 * scale });
    });
  }
}
