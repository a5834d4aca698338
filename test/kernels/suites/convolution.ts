import test from 'ava';
import { assertClose, dot, finiteDifferences, normals } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import { execute, image, type Subject, shaped, vector } from './subject.js';

/** Measured: 2.9e-7. */
const TOLERANCE = { ofLargest: 1e-6 };
/** A sum over all pixels of all images, on wasm one after the other. Measured: 5.6e-7. */
const FILTER_TOLERANCE = { ofLargest: 2e-6 };

interface Case extends reference.Geometry {
  readonly kernel: number;
  /** Images, height, width. */
  readonly sizes: readonly (readonly [number, number, number])[];
  readonly inputs: number;
  readonly outputs: number;
}

const SMALL = [
  [1, 1, 1],
  [1, 2, 3],
  [2, 7, 8],
  [1, 8, 5],
] as const;

/** Every convolution of the networks; sizes odd and even, and smaller than what the dilated filters reach. */
const CASES: readonly Case[] = [
  { kernel: 7, stride: 2, dilation: 1, padding: 3, sizes: [...SMALL, [1, 12, 13]], inputs: 3, outputs: 4 },
  { kernel: 3, stride: 1, dilation: 1, padding: 1, sizes: SMALL, inputs: 3, outputs: 4 },
  { kernel: 3, stride: 2, dilation: 1, padding: 1, sizes: SMALL, inputs: 4, outputs: 3 },
  { kernel: 3, stride: 1, dilation: 2, padding: 2, sizes: SMALL, inputs: 3, outputs: 2 },
  { kernel: 3, stride: 1, dilation: 4, padding: 4, sizes: [...SMALL, [2, 9, 10]], inputs: 2, outputs: 3 },
  { kernel: 3, stride: 1, dilation: 6, padding: 6, sizes: [...SMALL, [1, 13, 14]], inputs: 2, outputs: 2 },
  { kernel: 3, stride: 1, dilation: 12, padding: 12, sizes: [...SMALL, [1, 13, 26]], inputs: 2, outputs: 2 },
  { kernel: 1, stride: 1, dilation: 1, padding: 0, sizes: SMALL, inputs: 5, outputs: 4 },
  { kernel: 1, stride: 2, dilation: 1, padding: 0, sizes: SMALL, inputs: 4, outputs: 5 },
];

export function convolutionTests(subject: Subject): void {
  const { kernels } = subject;

  for (const { kernel, sizes, inputs, outputs, ...geometry } of CASES) {
    const { stride, dilation, padding } = geometry;
    const title = `${kernel}×${kernel}, stride ${stride}, dilation ${dilation}, padding ${padding}`;

    test(`${subject.name}: convolution ${title}`, (t) => {
      sizes.forEach(([images, height, width], seed) => {
        const what = `${images}×${height}×${width}`;
        const xShape = [images, height, width, inputs] as const;
        const filterShape = [kernel, kernel, inputs, outputs] as const;
        const yShape = reference.convolutionShape(xShape, filterShape, geometry);
        const x = normals(10 * seed + 1, reference.size(xShape));
        const filter = normals(10 * seed + 2, reference.size(filterShape));
        const gradient = normals(10 * seed + 3, reference.size(yShape));

        const { y } = execute(t, subject, { x: image(x, xShape), filter: image(filter, filterShape) }, (tensors) => ({
          y: shaped(t, kernels.convolution(tensors.x, tensors.filter, geometry), yShape),
        }));
        assertClose(t, y, reference.convolution(x, xShape, filter, filterShape, geometry), TOLERANCE, `y, ${what}`);

        const { dx } = execute(
          t,
          subject,
          { gradient: image(gradient, yShape), filter: image(filter, filterShape) },
          (tensors) => ({
            dx: shaped(t, kernels.convolutionInputGradient(tensors.gradient, tensors.filter, xShape, geometry), xShape),
          }),
        );
        const ofX = (at: Float64Array) =>
          dot(gradient, reference.convolution(at, xShape, filter, filterShape, geometry));
        assertClose(t, dx, finiteDifferences(ofX, x, 1), TOLERANCE, `input gradient, ${what}`);

        const { dw } = execute(t, subject, { gradient: image(gradient, yShape), x: image(x, xShape) }, (tensors) => ({
          dw: shaped(
            t,
            kernels.convolutionFilterGradient(tensors.gradient, tensors.x, filterShape, geometry),
            filterShape,
          ),
        }));
        const ofFilter = (at: Float64Array) =>
          dot(gradient, reference.convolution(x, xShape, at, filterShape, geometry));
        assertClose(t, dw, finiteDifferences(ofFilter, filter, 1), FILTER_TOLERANCE, `filter gradient, ${what}`);
      });
    });

    test(`${subject.name}: convolution's gradients are its adjoints, ${title}`, (t) => {
      const xShape = [2, 33, 46, 16] as const;
      const filterShape = [kernel, kernel, 16, 24] as const;
      const yShape = reference.convolutionShape(xShape, filterShape, geometry);
      const x = normals(4, reference.size(xShape));
      const filter = normals(5, reference.size(filterShape));
      const gradient = normals(6, reference.size(yShape));
      const inputs = { x: image(x, xShape), filter: image(filter, filterShape), gradient: image(gradient, yShape) };
      const { y, dx, dw } = execute(t, subject, inputs, (tensors) => ({
        y: kernels.convolution(tensors.x, tensors.filter, geometry),
        dx: kernels.convolutionInputGradient(tensors.gradient, tensors.filter, xShape, geometry),
        dw: kernels.convolutionFilterGradient(tensors.gradient, tensors.x, filterShape, geometry),
      }));
      // The product ⟨y, g⟩ of n random numbers is about √n; its rounding is measured against |y|·|g|: 1.3e-8 of it.
      const scale = Math.sqrt(dot(y, y) * dot(gradient, gradient));
      assertClose(t, [dot(x, dx), dot(filter, dw)], Array(2).fill(dot(y, gradient)), { absolute: 5e-8 * scale });
    });

    for (const [relu, adds] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const parts = [...(adds ? ['residual'] : []), ...(relu ? ['ReLU'] : [])];
      test(`${subject.name}: convolution with ${['bias', ...parts].join(', ')}, ${title}`, (t) => {
        const xShape = [2, 9, 12, inputs] as const;
        const filterShape = [kernel, kernel, inputs, outputs] as const;
        const yShape = reference.convolutionShape(xShape, filterShape, geometry);
        const x = normals(7, reference.size(xShape));
        const filter = normals(8, reference.size(filterShape));
        const bias = normals(9, outputs);
        const added = normals(10, reference.size(yShape));
        const hosts = {
          x: image(x, xShape),
          filter: image(filter, filterShape),
          bias: vector(bias),
          added: image(added, yShape),
        };
        const { y } = execute(t, subject, hosts, (tensors) => {
          const residual = adds ? tensors.added : undefined;
          const result = kernels.convolutionBias(tensors.x, tensors.filter, tensors.bias, geometry, relu, residual);
          return { y: shaped(t, result, yShape) };
        });
        const expected = reference
          .convolution(x, xShape, filter, filterShape, geometry)
          .map((value, i) => value + bias[i % outputs]! + (adds ? added[i]! : 0))
          .map((value) => (relu ? Math.max(value, 0) : value));
        assertClose(t, y, expected, TOLERANCE);
      });
    }
  }
}
