import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import { tilesAlong } from '../../engines/tensorflow/scratch.js';
import { type ConvolutionGeometry, type Shape4D, thenDispose } from '../kernels.js';
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

/** Transforming tiles of 16-bit images takes this share, because they are half as large. Measured. */
const HALF_TRANSFORM = 0.7;

/** What the choice of a path depends on besides sizes. */
interface PathOptions {
  /** 1 for all but the filter gradient: so an image's result does not depend on what else is in the batch. */
  readonly images?: number;
  /** Of images of 16 bits, whose tiles are float32: how many times as fast as float32 it is direct. Default: null, images in float32. */
  readonly halfSpeed?: number | null;
}

/**
 * The path with the fewest operations for a convolution 3×3, stride 1, or for a gradient of it.
 * @param output Height and width of the result.
 * @param channels Of the input and of the result.
 * @param options Default: one image in float32.
 */
export function cheapestPath(
  output: readonly [height: number, width: number],
  channels: readonly [inputs: number, outputs: number],
  dilation: number,
  { images = 1, halfSpeed = null }: PathOptions = {},
): ConvolutionPath {
  const [height, width] = output;
  const [inputs, outputs] = channels;
  if (inputs % CHANNELS !== 0 || outputs % CHANNELS !== 0 || height < 1 || width < 1) return 'direct';
  const pairs = inputs * outputs;
  let path: ConvolutionPath = 'direct';
  let least = (WORTHWHILE * 9 * images * height * width * pairs) / (halfSpeed ?? 1);
  const transforms = halfSpeed === null ? 1 : HALF_TRANSFORM;
  for (const costs of WINOGRAD) {
    const tiles = images * tilesAlong(height, dilation, costs.outputs) * tilesAlong(width, dilation, costs.outputs);
    const transform = transforms * costs.transform * tiles * (inputs + outputs);
    const cost = costs.products * (tiles + FILTER_TILES) * pairs + transform;
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
    const options = { halfSpeed: this.halfSpeed(x) };
    return this.tile(filter, geometry, [height + growth, width + growth], [filter[2], filter[3]], options);
  }

  /** The same for a convolution of x's channels and those of another image after them. */
  tileOfJoined(x: Tensor4D, filter: Shape4D, geometry: ConvolutionGeometry): 2 | 4 | null {
    return x.shape[3] % CHANNELS === 0 ? this.tileOf(x, filter, geometry) : null;
  }

  /** The same for the input gradient of a convolution whose input is [height, width]. */
  tileOfInputGradient(
    gradient: Tensor4D,
    filter: Shape4D,
    [, height, width]: Shape4D,
    geometry: ConvolutionGeometry,
  ): 2 | 4 | null {
    const options = { halfSpeed: this.halfSpeed(gradient) };
    return this.tile(filter, geometry, [height, width], [filter[3], filter[2]], options);
  }

  /** The same for the filter gradient. */
  tileOfFilterGradient(gradient: Tensor4D, filter: Shape4D, geometry: ConvolutionGeometry): 2 | 4 | null {
    const [images, height, width] = gradient.shape;
    const options = { images, halfSpeed: this.halfSpeed(gradient) };
    return this.tile(filter, geometry, [height, width], [filter[2], filter[3]], options);
  }

  /**
   * @param epilogue Each is optional: bias, then residual image, then ReLU.
   * @param beside An image of the same size, whose channels follow those of x; the same bits as if they were concatenated.
   */
  convolution(
    tile: 2 | 4,
    x: Tensor4D,
    filter: Tensor4D,
    geometry: ConvolutionGeometry,
    epilogue: { readonly bias?: Tensor1D; readonly residual?: Tensor4D | undefined; readonly relu?: boolean } = {},
    beside?: Tensor4D,
  ): Tensor4D {
    const { operations } = this;
    const { bias, residual, relu = false } = epilogue;
    const attributes = [
      operations.typeOf(x),
      ...this.attributes(tile, geometry),
      operations.attribute('biased', bias !== undefined),
      operations.attribute('add', residual !== undefined),
      operations.attribute('relu', relu),
      operations.attribute('joined', beside !== undefined),
    ];
    // A network for inference stores its filters like its images.
    const full = operations.cast(filter, 'fp32');
    // The operation ignores an input that an attribute does not announce.
    const inputs = [x, full, bias ?? full, residual ?? x, beside ?? x];
    return thenDispose(operations.run<Tensor4D>('FcnWinogradConvolution', attributes, inputs), full);
  }

  inputGradient(tile: 2 | 4, gradient: Tensor4D, filter: Tensor4D, geometry: ConvolutionGeometry): Tensor4D {
    const attributes = [this.operations.typeOf(gradient), ...this.attributes(tile, geometry)];
    return this.operations.run('FcnWinogradInputGradient', attributes, [gradient, filter]);
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

  /** As in `PathOptions`. */
  private halfSpeed(image: Tensor4D): number | null {
    return this.operations.isHalf(image) ? (this.operations.engine.halfSpeed ?? 1) : null;
  }

  private tile(
    [kernelHeight, kernelWidth]: Shape4D,
    { stride, dilation }: ConvolutionGeometry,
    output: readonly [number, number],
    channels: readonly [number, number],
    options: PathOptions,
  ): 2 | 4 | null {
    if (kernelHeight !== 3 || kernelWidth !== 3 || stride !== 1) return null;
    const path = this.choose(output, channels, dilation, options);
    return path === 'direct' ? null : path === 'F(2×2)' ? 2 : 4;
  }
}
