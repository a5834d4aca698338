import test from 'ava';
import { assertClose, dot, finiteDifferences, integers, normals, shuffled } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import { execute, image, type Subject, shaped } from './subject.js';

const SHAPES = [
  [1, 1, 1, 2],
  [1, 2, 2, 1],
  [1, 1, 5, 3],
  [1, 8, 6, 2],
  [2, 7, 9, 3],
  [2, 9, 4, 2],
] as const;

/** How the values are drawn; all of them are exact in float32. */
const FILLS = {
  'without ties': (count: number) => shuffled(1, count),
  'all negative': (count: number) => shuffled(2, count).map((value) => value - 1e6),
  'with ties': (count: number) => Float32Array.from(integers(3, count, 0, 2)),
  'all equal': (count: number) => new Float32Array(count),
};

export function maxPoolTests(subject: Subject): void {
  const { kernels } = subject;
  for (const [fill, values] of Object.entries(FILLS)) {
    test(`${subject.name}: max pool and its gradient, ${fill}`, (t) => {
      for (const shape of SHAPES) {
        const what = shape.join('×');
        const yShape = reference.poolShape(shape);
        const x = values(reference.size(shape));
        const y = reference.maxPool(x, shape);
        const gradient = normals(4, reference.size(yShape));

        const forward = execute(t, subject, { x: image(x, shape) }, (tensors) => ({
          y: shaped(t, kernels.maxPool(tensors.x), yShape),
        }));
        assertClose(t, forward.y, y, {}, `y, ${what}`);

        const inputs = { gradient: image(gradient, yShape), x: image(x, shape), y: image(y, yShape) };
        const backward = execute(t, subject, inputs, (tensors) => ({
          x: shaped(t, kernels.maxPoolGradient(tensors.gradient, tensors.x, tensors.y), shape),
        }));
        // A sum of up to four float32. Measured: 5.6e-8.
        assertClose(t, backward.x, reference.maxPoolGradient(gradient, x, shape), { ofLargest: 2e-7 }, `dx, ${what}`);
        if (fill === 'without ties') {
          const ofX = (at: Float64Array) => dot(gradient, reference.maxPool(at, shape));
          assertClose(t, backward.x, finiteDifferences(ofX, x, 0.25), { ofLargest: 2e-7 }, `differences, ${what}`);
        }
      }
    });
  }
}
