import type { ConvolutionPath, Engine } from '../../engines/engine.js';
import { tilesAlong } from '../../engines/tensorflow/scratch.js';
import { type ConvolutionShape, shapeName } from '../kernels.js';

/** What one image costs on a path. */
interface TileCosts {
  readonly path: Exclude<ConvolutionPath, 'direct'>;
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
export const CHANNELS = 16;

/** Less than this share of the direct convolution's operations is expected to be faster. */
const WORTHWHILE = 0.9;

/** Transforming tiles of 16-bit images takes this share, because they are half as large. Measured. */
const HALF_TRANSFORM = 0.7;

/**
 * The paths with clearly fewer operations than the direct one, the cheapest first.
 * @param halfSpeed How many times as fast as float32 images of 16 bits are convolved directly; their tiles are float32.
 */
export function cheaperPaths(
  { output: [height, width], channels: [inputs, outputs], dilation, images, isHalf }: ConvolutionShape,
  halfSpeed: number,
): Exclude<ConvolutionPath, 'direct'>[] {
  if (inputs % CHANNELS !== 0 || outputs % CHANNELS !== 0 || height < 1 || width < 1) return [];
  const pairs = inputs * outputs;
  const direct = (9 * images * height * width * pairs) / (isHalf ? halfSpeed : 1);
  const transforms = isHalf ? HALF_TRANSFORM : 1;
  return WINOGRAD.map(({ path, outputs: tile, products, transform }) => {
    const tiles = images * tilesAlong(height, dilation, tile) * tilesAlong(width, dilation, tile);
    const ofTiles = transforms * transform * tiles * (inputs + outputs);
    return { path, cost: products * (tiles + FILTER_TILES) * pairs + ofTiles };
  })
    .filter(({ cost }) => cost < WORTHWHILE * direct)
    .sort((a, b) => a.cost - b.cost)
    .map(({ path }) => path);
}

/** The path with the fewest operations for a convolution 3×3, stride 1, or for a gradient of it. */
export function cheapestPath(shape: ConvolutionShape, halfSpeed: number): ConvolutionPath {
  return cheaperPaths(shape, halfSpeed)[0] ?? 'direct';
}

/** The path that was decided for the engine, else the one with the fewest operations. */
export function pathOn(
  { convolution, decidedPaths, halfSpeed }: Pick<Engine, 'convolution' | 'decidedPaths' | 'halfSpeed'>,
  shape: ConvolutionShape,
): ConvolutionPath {
  if (convolution === 'direct') return 'direct';
  return decidedPaths.get(shapeName(shape)) ?? cheapestPath(shape, halfSpeed ?? 1);
}
