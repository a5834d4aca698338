import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvolutionGeometry, Shape4D } from '../kernels.js';
import type { Operations } from './operations.js';

/** A way to compute a convolution: directly, or in tiles of 2×2 or 4×4 outputs by Winograd's minimal filtering. */
export type ConvolutionPath = 'direct' | 'F(2×2)' | 'F(4×4)';

/** What one image costs on a path. */
interface TileCosts {
  readonly path: ConvolutionPath;
  /** Width of a tile of outputs. */
  readonly outputs: number;
  /** Multiplications of a tile, for each pair of an input and an output channel. */
  readonly products: number;
  /** Transforming a tile, for each input or output channel, in multiply-adds. Measured. */
  readonly transform: number;
}

const WINOGRAD: readonly TileCosts[] = [
  { path: 'F(4×4)', outputs: 4, products: 36, transform: 620 },
  { path: 'F(2×2)', outputs: 2, products: 16, transform: 155 },
];

/** Transforming the filter takes as long as the products of this many tiles. Measured. */
const FILTER_TILES = 32;

/** What the own operations' channels must be multiples of. */
const CHANNELS = 16;

/** Less than this share of the direct convolution's operations is expected to be faster. */
const WORTHWHILE = 0.9;

/** Tiles of a map along one axis: each of the `dilation` phases is tiled by itself. */
function tilesAlong(size: number, dilation: number, outputs: number): number {
  let tiles = 0;
  for (let phase = 0; phase < Math.min(dilation, size); phase++) {
    tiles += Math.ceil(Math.ceil((size - phase) / dilation) / outputs);
  }
  return tiles;
}

/**
 * The path with the fewest operations for a convolution 3×3, stride 1, in float32 of one image; so a result does not depend on what
 * else is in the batch.
 * @param output Height and width of the result.
 * @param channels Of the input and of the result.
 */
export function cheapestPath(
  output: readonly [height: number, width: number],
  channels: readonly [inputs: number, outputs: number],
  dilation: number,
): ConvolutionPath {
  const [height, width] = output;
  const [inputs, outputs] = channels;
  if (inputs % CHANNELS !== 0 || outputs % CHANNELS !== 0 || height < 1 || width < 1) return 'direct';
  const pairs = inputs * outputs;
  let path: ConvolutionPath = 'direct';
  let least = WORTHWHILE * 9 * height * width * pairs;
  for (const costs of WINOGRAD) {
    const tiles = tilesAlong(height, dilation, costs.outputs) * tilesAlong(width, dilation, costs.outputs);
    const cost = costs.products * (tiles + FILTER_TILES) * pairs + costs.transform * tiles * (inputs + outputs);
    if (cost < least) [path, least] = [costs.path, cost];
  }
  return path;
}

/** Winograd's convolutions by this package's operations (src/engines/native/operations/winograd-convolution.cc). */
export class WinogradConvolutions {
  constructor(
    private readonly operations: Operations,
    /** The path of a convolution; default: the cheapest. */
    private readonly choose = cheapestPath,
  ) {}

  /** The tile for a convolution of x: its outputs are 2×2 or 4×4; null if it is better or only computed directly. */
  tileOf(x: Tensor4D, filter: Shape4D, geometry: ConvolutionGeometry): 2 | 4 | null {
    const [, height, width] = x.shape;
    const { dilation, padding } = geometry;
    const growth = 2 * (padding - dilation);
    return this.tile(x, filter, geometry, [height + growth, width + growth], [filter[2], filter[3]]);
  }

  /** The same for the input gradient of a convolution whose input is [height, width]. */
  tileOfInputGradient(
    gradient: Tensor4D,
    filter: Shape4D,
    [, height, width]: Shape4D,
    geometry: ConvolutionGeometry,
  ): 2 | 4 | null {
    return this.tile(gradient, filter, geometry, [height, width], [filter[3], filter[2]]);
  }

  /** @param epilogue Each is optional: bias, then residual image, then ReLU. */
  convolution(
    tile: 2 | 4,
    x: Tensor4D,
    filter: Tensor4D,
    geometry: ConvolutionGeometry,
    epilogue: { readonly bias?: Tensor1D; readonly residual?: Tensor4D | undefined; readonly relu?: boolean } = {},
  ): Tensor4D {
    const { operations } = this;
    const { bias, residual, relu = false } = epilogue;
    const attributes = [
      ...this.attributes(tile, geometry),
      operations.attribute('biased', bias !== undefined),
      operations.attribute('add', residual !== undefined),
      operations.attribute('relu', relu),
    ];
    // The operation ignores an input that an attribute does not announce.
    return operations.run('FcnWinogradConvolution', attributes, [x, filter, bias ?? x, residual ?? x]);
  }

  inputGradient(tile: 2 | 4, gradient: Tensor4D, filter: Tensor4D, geometry: ConvolutionGeometry): Tensor4D {
    return this.operations.run('FcnWinogradInputGradient', this.attributes(tile, geometry), [gradient, filter]);
  }

  private attributes(tile: 2 | 4, { dilation, padding }: ConvolutionGeometry) {
    const { operations } = this;
    return [
      operations.attribute('tile', tile),
      operations.attribute('dilation', dilation),
      operations.attribute('padding', padding),
    ];
  }

  private tile(
    image: Tensor4D,
    [kernelHeight, kernelWidth]: Shape4D,
    { stride, dilation }: ConvolutionGeometry,
    output: readonly [number, number],
    channels: readonly [number, number],
  ): 2 | 4 | null {
    if (kernelHeight !== 3 || kernelWidth !== 3 || stride !== 1 || this.operations.isHalf(image)) return null;
    const path = this.choose(output, channels, dilation);
    return path === 'direct' ? null : path === 'F(2×2)' ? 2 : 4;
  }
}
