import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine } from '../engines/engine.js';
import { createKernels } from '../kernels/create.js';
import type { ConvolutionGeometry, Kernels, Shape4D } from '../kernels/kernels.js';
import { chooseTile, filterGradientTile, tileSize } from '../kernels/webgpu/tile.js';
import { InterruptedError } from '../support/errors.js';
import { normalValues, secondsOf } from './roofline.js';

/** The convolutions that take the most operations in a training step of FCN R-50-D8, whose last stages have an eighth of the image's size. */
const HEAVIEST = [
  { name: 'decode_head.conv_cat', kernel: 3, inputs: 2560, outputs: 512, dilation: 1 },
  { name: 'decode_head.convs.0', kernel: 3, inputs: 2048, outputs: 512, dilation: 1 },
  { name: 'layer4.1.conv2', kernel: 3, inputs: 512, outputs: 512, dilation: 4 },
  { name: 'auxiliary_head.convs.0', kernel: 3, inputs: 1024, outputs: 256, dilation: 1 },
  { name: 'layer4.0.downsample', kernel: 1, inputs: 1024, outputs: 2048, dilation: 1 },
] as const;

/** [height, width] of the maps: those of an image of 512×1024; on processors a sixteenth of them, so that it takes seconds. */
const MAPS = { gpu: [64, 128], cpu: [4, 8] } as const;
const IMAGES = 2;
const REPETITIONS = 2;

/**
 * A GPU on paper: 132 processors of 128 lanes at 1.78 GHz, so 60 TFLOP/s in float32, and 3.3 TB/s. `share` is what a large tile leaves of the
 * former (docs/engines.md has the arithmetic), and each processor has room for two of them.
 */
const PAPER = { flops: 60e12, bytes: 3.3e12, share: 0.6, resident: 2 * 132 } as const;

const DIRECTIONS = ['forward', 'input gradient', 'filter gradient'] as const;
type Direction = (typeof DIRECTIONS)[number];

/** A kernel's rate, measured here and expected of the GPU on paper. */
export interface KernelRate {
  readonly layer: string;
  readonly direction: Direction;
  /** Floating-point operations; a multiply-accumulate counts 2. */
  readonly flops: number;
  /** Of both factors and the result, once each. */
  readonly bytes: number;
  /** The part of the GPU that tiles occupy, on average over the rounds that they take. */
  readonly occupied: number;
  /** Operations a second. */
  readonly expected: number;
  readonly measured: number;
  readonly seconds: number;
}

type Layer = (typeof HEAVIEST)[number];

function costOf({ kernel, inputs, outputs }: Layer, direction: Direction, [height, width]: readonly [number, number]) {
  const pixels = IMAGES * height * width;
  const taps = kernel * kernel;
  const [rows, columns] = {
    forward: [pixels, outputs],
    'input gradient': [pixels, inputs],
    'filter gradient': [taps * inputs, outputs],
  }[direction] as [number, number];
  const flops = 2 * pixels * taps * inputs * outputs;
  const bytes = 4 * (pixels * (inputs + outputs) + taps * inputs * outputs);
  const { tile, parts } =
    direction === 'filter gradient'
      ? filterGradientTile(rows, columns, pixels)
      : { tile: chooseTile(rows, columns, 16), parts: 1 };
  const size = tileSize(tile);
  const tiles = Math.ceil(rows / size.rows) * Math.ceil(columns / size.columns) * parts;
  const occupied = tiles / (Math.ceil(tiles / PAPER.resident) * PAPER.resident);
  const expected = Math.min(PAPER.flops * PAPER.share * occupied, (flops / bytes) * PAPER.bytes);
  return { flops, bytes, occupied, expected };
}

/**
 * Rates of the heaviest convolutions and their gradients. The best of a few runs counts, after one that compiles.
 * @throws InterruptedError on abort, between kernels.
 */
export async function kernelRates(engine: Engine, signal?: AbortSignal): Promise<KernelRate[]> {
  const kernels = createKernels(engine);
  const rates: KernelRate[] = [];
  for (const layer of HEAVIEST) {
    for (const direction of DIRECTIONS) {
      if (signal?.aborted) throw InterruptedError.of(signal, 'Measuring of kernels interrupted.');
      await new Promise((resolve) => setImmediate(resolve));
      const cost = costOf(layer, direction, MAPS[engine.device]);
      const seconds = measure(engine, kernels, layer, direction);
      rates.push({ layer: layer.name, direction, ...cost, seconds, measured: cost.flops / seconds });
    }
  }
  return rates;
}

function measure(engine: Engine, kernels: Kernels, layer: Layer, direction: Direction): number {
  const [height, width] = MAPS[engine.device];
  const random = (stream: number, shape: Shape4D): Tensor4D =>
    engine.tf.tensor4d(
      normalValues(
        shape.reduce((product, size) => product * size),
        0,
        stream,
      ),
      [...shape],
    );
  const filterShape: Shape4D = [layer.kernel, layer.kernel, layer.inputs, layer.outputs];
  const xShape: Shape4D = [IMAGES, height, width, layer.inputs];
  const x = random(1, xShape);
  const filter = random(2, filterShape);
  const gradient = random(3, [IMAGES, height, width, layer.outputs]);
  const geometry: ConvolutionGeometry = {
    stride: 1,
    dilation: layer.dilation,
    padding: layer.dilation * ((layer.kernel - 1) / 2),
  };
  const run = {
    forward: () => kernels.convolution(x, filter, geometry),
    'input gradient': () => kernels.convolutionInputGradient(gradient, filter, xShape, geometry),
    'filter gradient': () => kernels.convolutionFilterGradient(gradient, x, filterShape, geometry),
  }[direction];
  const times = Array.from({ length: 1 + REPETITIONS }, () => secondsOf(engine, () => run().dispose()));
  engine.tf.dispose([x, filter, gradient]);
  return Math.min(...times.slice(1));
}

/** The rates as lines for a terminal. */
export function formatKernelRates(rates: readonly KernelRate[], engine: Engine): string {
  const tera = (value: number) => (value / 1e12).toPrecision(3).padStart(9);
  const lines = rates.map(({ layer, direction, flops, bytes, occupied, expected, measured }) =>
    [
      layer.padEnd(24),
      direction.padEnd(16),
      (flops / 1e9).toFixed(1).padStart(8),
      (bytes / 1e6).toFixed(0).padStart(7),
      (flops / bytes).toFixed(0).padStart(8),
      `${(100 * occupied).toFixed(0)} %`.padStart(9),
      tera(expected),
      tera(measured),
    ].join(''),
  );
  const [height, width] = MAPS[engine.device];
  const versions = Object.entries(engine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${'layer'.padEnd(24)}${'direction'.padEnd(16)}${'GFLOP'.padStart(8)}${'MB'.padStart(7)}${'FLOP/B'.padStart(8)}${'occupied'.padStart(9)}${'expected'.padStart(9)}${'measured'.padStart(9)}`,
    ...lines,
    `Expected: TFLOP/s of a GPU with 60 TFLOP/s in float32, on paper; measured: TFLOP/s here, maps of ${height}×${width}, batch ${IMAGES}.`,
    `${engine.name} on this ${engine.device.toUpperCase()}: ${versions.join(', ')}`,
  ].join('\n');
}
