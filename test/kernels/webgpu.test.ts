import type { Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import type { Kernels } from '../../src/kernels/kernels.js';
import { webgpuKernels } from '../../src/kernels/webgpu/index.js';
import { chooseTile, type Tile, tileSize, withinShared } from '../../src/kernels/webgpu/tile.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';
import { assertClose, normals, sameBytes } from '../helpers/numeric.js';
import * as reference from '../helpers/reference.js';
import { testOnEngine } from './suites/all.js';

await testOnEngine('webgpu', 'programs on webgpu', (engine) => webgpuKernels(engine));

const engine = hasEngine('webgpu') ? await startTestEngine('webgpu') : null;
const onWebgpu = engine === null ? test.skip : test;

/** A convolution and its gradients, as values. */
function computed(kernels: Kernels, channels: number, outputs: number, geometry: reference.Geometry) {
  const { tf } = engine!;
  const shape = [2, 19, 22, channels] as const;
  const filterShape = [3, 3, channels, outputs] as const;
  const yShape = reference.convolutionShape(shape, filterShape, geometry);
  const image = (seed: number, of: readonly [number, number, number, number]): Tensor4D =>
    tf.tensor4d(normals(seed, reference.size(of)), [...of]);
  const [x, filter, gradient] = [image(1, shape), image(2, filterShape), image(3, yShape)];
  const results = [
    kernels.convolution(x, filter, geometry),
    kernels.convolutionInputGradient(gradient, filter, shape, geometry),
    kernels.convolutionFilterGradient(gradient, x, filterShape, geometry),
  ];
  const values = results.map((tensor) => tensor.dataSync<'float32'>());
  tf.dispose([x, filter, gradient, ...results]);
  return values;
}

const GEOMETRY = { stride: 2, dilation: 1, padding: 1 };

onWebgpu('every tile gives the same sums, in other workgroups', (t) => {
  const large = { threadRows: 8, threadColumns: 8, rows: 16, columns: 16, depth: 16 } as const;
  const medium = { ...large, rows: 8, columns: 8 } as const;
  const narrow = { ...medium, threadColumns: 4, rows: 16, columns: 4, depth: 8 } as const;
  const expected = computed(webgpuKernels(engine!), 12, 20, GEOMETRY);
  for (const tile of [large, medium, narrow] satisfies Tile[]) {
    const actual = computed(webgpuKernels(engine!, { tiles: () => tile }), 12, 20, GEOMETRY);
    // Forward and input gradient: to the bit, as sums are taken term after term. Filter gradients are divided by the number of tiles.
    t.true(sameBytes(actual[0]!, expected[0]!), `forward, ${JSON.stringify(tile)}`);
    t.true(sameBytes(actual[1]!, expected[1]!), `input gradient, ${JSON.stringify(tile)}`);
    assertClose(t, actual[2]!, expected[2]!, { ofLargest: 1e-6 }, 'filter gradient');
  }
});

onWebgpu('two runs give the same bits', (t) => {
  const kernels = webgpuKernels(engine!);
  const [first, second] = [computed(kernels, 12, 20, GEOMETRY), computed(kernels, 12, 20, GEOMETRY)];
  t.true(first.every((values, i) => sameBytes(values, second[i]!)));
});

onWebgpu('the channels of two images are convolved to the bits of their concatenation', (t) => {
  const { tf } = engine!;
  const kernels = webgpuKernels(engine!);
  const geometry = { stride: 1, dilation: 2, padding: 2 };
  const image = (seed: number, shape: [number, number, number, number]) =>
    tf.tensor4d(normals(seed, reference.size(shape)), shape);
  const [a, b] = [image(1, [2, 9, 10, 8]), image(2, [2, 9, 10, 12])];
  const filter = image(3, [3, 3, 20, 8]);
  const bias = tf.tensor1d(normals(4, 8));
  const whole = kernels.concatenateChannels(a, b);
  const expected = kernels.convolutionBias(whole, filter, bias, geometry, true);
  const actual = kernels.joinedConvolutionBias(a, b, filter, bias, geometry, true);
  t.true(sameBytes(actual.dataSync(), expected.dataSync()));
  tf.dispose([filter, bias, whole, expected, actual]);
});

onWebgpu('a ReLU keeps what is not a number', (t) => {
  const { tf } = engine!;
  const kernels = webgpuKernels(engine!);
  const x = tf.tensor4d([Number.NaN, -1, 2, Number.POSITIVE_INFINITY], [1, 1, 1, 4]);
  const y = kernels.relu(x);
  t.deepEqual([...y.dataSync()], [Number.NaN, 0, 2, Number.POSITIVE_INFINITY]);
  tf.dispose([x, y]);
});

test('a tile has room for each thread’s blocks, and fits the columns', (t) => {
  for (const columns of [1, 8, 9, 19, 32, 64, 65, 150, 512, 2048]) {
    for (const rows of [1, 100, 2048, 131_072]) {
      for (const depth of [4, 8, 16] as const) {
        const tile = chooseTile(rows, columns, depth);
        const threads = tile.rows * tile.columns;
        const size = tileSize(tile);
        t.true((size.rows * tile.depth) / 16 <= threads && (size.columns * tile.depth) / 16 <= threads);
        t.true(size.columns < 2 * Math.max(columns, 4) || size.columns <= 64, `${columns} columns in ${size.columns}`);
        // WebGPU's default limits: 256 threads, 16 KiB of shared memory.
        t.true(threads <= 256);
        const fitted = withinShared(tile, 2 ** 14);
        t.true(4 * fitted.depth * (size.rows + size.columns + 8) <= 2 ** 14);
      }
    }
  }
});
