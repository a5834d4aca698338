import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvolutionPath } from '../../engines/engine.js';
import { type ConvolutionGeometry, type ConvolutionShape, type Shape4D, thenDispose } from '../kernels.js';
import { CHANNELS } from './convolution-path.js';
import type { Operations } from './operations.js';

/** Winograd's convolutions by this package's operations (src/engines/native/operations/winograd-*.cc). */
export class WinogradConvolutions {
  constructor(
    private readonly operations: Operations,
    private readonly choose: (shape: ConvolutionShape) => ConvolutionPath,
  ) {}

  /** The tile for a convolution of x: its outputs are 2×2 or 4×4; null if it is better or only computed directly. */
  tileOf(x: Tensor4D, filter: Shape4D, geometry: ConvolutionGeometry): 2 | 4 | null {
    const [, height, width] = x.shape;
    const { dilation, padding } = geometry;
    const growth = 2 * (padding - dilation);
    const output = [height + growth, width + growth] as const;
    return this.tile(filter, geometry, { of: 'convolution', output, ...oneImage(filter[2], filter[3]) }, x);
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
    const output = [height, width] as const;
    return this.tile(filter, geometry, { of: 'input gradient', output, ...oneImage(filter[3], filter[2]) }, gradient);
  }

  /** The same for the filter gradient. */
  tileOfFilterGradient(gradient: Tensor4D, filter: Shape4D, geometry: ConvolutionGeometry): 2 | 4 | null {
    const [images, height, width] = gradient.shape;
    const [, , inputs, outputs] = filter;
    const shape = { of: 'filter gradient', output: [height, width], channels: [inputs, outputs], images } as const;
    return this.tile(filter, geometry, shape, gradient);
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

  private tile(
    [kernelHeight, kernelWidth]: Shape4D,
    { stride, dilation }: ConvolutionGeometry,
    shape: Omit<ConvolutionShape, 'dilation' | 'isHalf'>,
    image: Tensor4D,
  ): 2 | 4 | null {
    if (kernelHeight !== 3 || kernelWidth !== 3 || stride !== 1) return null;
    const path = this.choose({ ...shape, dilation, isHalf: this.operations.isHalf(image) });
    return path === 'direct' ? null : path === 'F(2×2)' ? 2 : 4;
  }
}

function oneImage(inputs: number, outputs: number): Pick<ConvolutionShape, 'channels' | 'images'> {
  return { channels: [inputs, outputs], images: 1 };
}
