import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import { tilesAlong } from '../../engines/tensorflow/scratch.js';
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

/** How many times as fast as in float32 direct filter gradients of 16-bit images are. Measured: 1.5 to 2.4. */
const HALF_RATE = 2;

/** What the work of a filter gradient is, beside the convolution's shape. */
interface FilterGradientWork {
  /** All images count: the gradient is a sum over them. */
  readonly images: number;
  /** How many times as fast as in float32 the direct path is. */
  readonly directRate: number;
}

/**
 * The path with the fewest operations for a convolution 3×3, stride 1, in float32, or for a gradient of it.
 * @param output Height and width of the result.
 * @param channels Of the input and of the result.
 * @param work For the filter gradient. Otherwise one image counts, so that its result does not depend on what else is in the batch.
 */
export function cheapestPath(
  output: readonly [height: number, width: number],
  channels: readonly [inputs: number, outputs: number],
  dilation: number,
  { images, directRate }: FilterGradientWork = { images: 1, directRate: 1 },
): ConvolutionPath {
  const [height, width] = output;
  const [inputs, outputs] = channels;
  if (inputs % CHANNELS !== 0 || outputs % CHANNELS !== 0 || height < 1 || width < 1) return 'direct';
  const pairs = inputs * outputs;
  let path: ConvolutionPath = 'direct';
  let least = (WORTHWHILE * 9 * images * height * width * pairs) / directRate;
  for (const costs of WINOGRAD) {
    const tiles = images * tilesAlong(height, dilation, costs.outputs) * tilesAlong(width, dilation, costs.outputs);
    const cost = costs.products * (tiles + FILTER_TILES) * pairs + costs.transform * tiles * (inputs + outputs);
    if (cost < least) [path, least] = [costs.path, cost];
  }
  return path;
}

/** Winograd's convolutions by this package's operations (src/engines/native/operations/winograd-*.cc). */
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
    if (this.operations.isHalf(x)) return null;
    return this.tile(filter, geometry, [height + growth, width + growth], [filter[2], filter[3]]);
  }

  /** The same for the input gradient of a convolution whose input is [height, width]. */
  tileOfInputGradient(
    gradient: Tensor4D,
    filter: Shape4D,
    [, height, width]: Shape4D,
    geometry: ConvolutionGeometry,
  ): 2 | 4 | null {
    if (this.operations.isHalf(gradient)) return null;
    return this.tile(filter, geometry, [height, width], [filter[3], filter[2]]);
  }

  /** The same for the filter gradient. Images of 16 bits are multiplied in float32. */
  tileOfFilterGradient(gradient: Tensor4D, filter: Shape4D, geometry: ConvolutionGeometry): 2 | 4 | null {
    const [images, height, width] = gradient.shape;
    const work = { images, directRate: this.operations.isHalf(gradient) ? HALF_RATE : 1 };
    return this.tile(filter, geometry, [height, width], [filter[2], filter[3]], work);
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

  filterGradient(tile: 2 | 4, gradient: Tensor4D, x: Tensor4D, geometry: ConvolutionGeometry): Tensor4D {
    const attributes = [this.operations.typeOf(x), ...this.attributes(tile, geometry)];
    return this.operations.run('FcnWinogradFilterGradient', attributes, [gradient, x]);
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
    [kernelHeight, kernelWidth]: Shape4D,
    { stride, dilation }: ConvolutionGeometry,
    output: readonly [number, number],
    channels: readonly [number, number],
    work?: FilterGradientWork,
  ): 2 | 4 | null {
    if (kernelHeight !== 3 || kernelWidth !== 3 || stride !== 1) return null;
    const path = this.choose(output, channels, dilation, work);
    return path === 'direct' ? null : path === 'F(2×2)' ? 2 : 4;
  }
}
