import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ElementType } from '../../engines/webgpu/program.js';
import { type ConvolutionGeometry, type ConvolutionKernels, type Shape4D, thenDispose } from '../kernels.js';
import { filterGradientProgram, sumOfParts } from './filter-gradient.js';
import { gatherConvolution } from './gather-convolution.js';
import type { Programs } from './programs.js';
import { chooseTile, depthFor, filterGradientTile, type Tile, tileSize, withinShared } from './tile.js';

type TileChoice = typeof chooseTile;

/** What is added to a convolution and applied to it as it is stored. */
interface Epilogue {
  readonly bias?: Tensor1D | undefined;
  readonly residual?: Tensor4D | undefined;
  readonly relu?: boolean;
}

/** Where one axis of a convolution reads and writes; see `gatherConvolution`. */
interface Axis {
  readonly size: number;
  readonly source_size: number;
  readonly source_step: number;
  readonly source_first: number;
  readonly tap_step: number;
  readonly taps: number;
  readonly filter_first: number;
  readonly filter_step: number;
  readonly result_size: number;
  readonly result_step: number;
  readonly result_first: number;
}

/** H′ = ⌊(H + 2·padding − dilation·(kh − 1) − 1)/stride⌋ + 1. */
function outputSize(size: number, taps: number, { stride, dilation, padding }: ConvolutionGeometry): number {
  return Math.floor((size + 2 * padding - dilation * (taps - 1) - 1) / stride) + 1;
}

/** Pixel y reads taps from y · stride − padding on. */
function forwardAxis(input: number, output: number, taps: number, geometry: ConvolutionGeometry): Axis {
  const { stride, dilation, padding } = geometry;
  return {
    ...{ size: output, source_size: input, source_step: stride, source_first: -padding, tap_step: dilation, taps },
    ...{ filter_first: 0, filter_step: 1, result_size: output, result_step: 1, result_first: 0 },
  };
}

/**
 * Input pixels phase, phase + stride, … of the input gradient. Tap i of the filter meets input pixel y in output pixel
 * (y + padding − dilation·i)/stride, where that is whole: for a phase, either for every `period`-th tap from the first that meets it on, or
 * for none. With y = stride·y′ + phase, that pixel is y′ + (phase + padding − dilation·i)/stride.
 */
function phaseAxis(phase: number, input: number, output: number, taps: number, geometry: ConvolutionGeometry): Axis {
  const { stride, dilation, padding } = geometry;
  const meets = (tap: number) => (phase + padding - dilation * tap) % stride === 0;
  const meeting = Array.from({ length: taps }, (_, tap) => tap).filter(meets);
  const [first = 0, second = first + 1] = meeting;
  const period = second - first;
  return {
    size: Math.max(0, Math.ceil((input - phase) / stride)),
    source_size: output,
    source_step: 1,
    source_first: meeting.length === 0 ? 0 : (phase + padding - dilation * first) / stride,
    tap_step: -Math.trunc((dilation * period) / stride),
    taps: meeting.length,
    filter_first: first,
    filter_step: period,
    result_size: input,
    result_step: stride,
    result_first: phase,
  };
}

interface Gathering {
  readonly source: Tensor4D;
  readonly second?: Tensor4D | undefined;
  readonly filter: Tensor4D;
  readonly result: Tensor4D;
  readonly y: Axis;
  readonly x: Axis;
  /** Channels of the source and of the result. */
  readonly channels: number;
  readonly columns: number;
  readonly transposed: boolean;
  readonly epilogue: Epilogue;
}

/** Convolutions and their gradients as tiled matrix products. @param tiles Default: by shape. */
export class Convolutions implements ConvolutionKernels {
  constructor(
    private readonly programs: Programs,
    private readonly tiles: TileChoice = chooseTile,
  ) {}

  readonly convolution: ConvolutionKernels['convolution'] = (x, filter, geometry) =>
    this.forward(x, filter, geometry, {});

  readonly convolutionBias: ConvolutionKernels['convolutionBias'] = (x, filter, bias, geometry, relu, residual) =>
    this.forward(x, filter, geometry, { bias, residual, relu });

  readonly joinedConvolutionBias: ConvolutionKernels['joinedConvolutionBias'] = (
    a,
    b,
    filter,
    bias,
    geometry,
    relu,
  ) => {
    if (a.shape[3] % 4 === 0 && b.shape[3] % 4 === 0) {
      return thenDispose(this.forward(a, filter, geometry, { bias, relu }, b), a, b);
    }
    const joined: Tensor4D = thenDispose(this.programs.tf.concat([a, b], 3), a, b);
    return thenDispose(this.forward(joined, filter, geometry, { bias, relu }), joined);
  };

  readonly convolutionInputGradient: ConvolutionKernels['convolutionInputGradient'] = (
    gradient,
    filter,
    inputShape,
    geometry,
  ) => {
    const [, height, width, inputs] = inputShape;
    const [, outputHeight, outputWidth, outputs] = gradient.shape;
    const [tapsY, tapsX] = filter.shape;
    const result = this.programs.allocate<Tensor4D>(inputShape, this.programs.typeOf(gradient));
    const common = {
      source: gradient,
      filter,
      result,
      channels: outputs,
      columns: inputs,
      transposed: true,
      epilogue: {},
    };
    for (let phaseY = 0; phaseY < geometry.stride; phaseY++) {
      for (let phaseX = 0; phaseX < geometry.stride; phaseX++) {
        const y = phaseAxis(phaseY, height, outputHeight, tapsY, geometry);
        const x = phaseAxis(phaseX, width, outputWidth, tapsX, geometry);
        if (y.size > 0 && x.size > 0) this.gather({ ...common, y, x });
      }
    }
    return result;
  };

  readonly convolutionFilterGradient: ConvolutionKernels['convolutionFilterGradient'] = (
    gradient,
    x,
    filterShape,
    geometry,
  ) => {
    const { programs } = this;
    const [tapsY, tapsX, inputs, outputs] = filterShape;
    const [images, height, width] = gradient.shape;
    const rows = tapsY * tapsX * inputs;
    const pixels = images * height * width;
    const { tile: chosen, parts } = filterGradientTile(rows, outputs, pixels, this.tiles);
    const tile = withinShared(chosen, programs.backend.sharedBytes);
    const tilesOf = this.tileCounts(tile, rows, outputs);
    const partPixels = Math.ceil(pixels / parts / tile.depth) * tile.depth;
    const count = Math.ceil(pixels / partPixels);
    const image = programs.typeOf(x);
    const sum = programs.allocate<Tensor4D>(
      count === 1 ? filterShape : [count, 1, rows, outputs],
      count === 1 ? image : 'f32',
    );
    const widths = { input: programs.widthOf(inputs), gradient: programs.widthOf(outputs) };
    const options = { tile, image, result: programs.typeOf(sum), widths };
    const program = programs.get('convolutionFilterGradient', options, filterGradientProgram);
    const grid = programs.backend.foldedGrid(tilesOf.row_tiles * tilesOf.column_tiles, count);
    const sizes = { height, width, input_height: x.shape[1], input_width: x.shape[2] };
    const shape = { rows, columns: outputs, pixels, part_pixels: partPixels, channels: inputs, filter_width: tapsX };
    programs.run(program, [x, gradient, sum], { ...tilesOf, ...shape, ...sizes, ...geometry }, grid);
    return count === 1 ? sum : this.addParts(sum, count, filterShape, image);
  };

  private addParts(parts: Tensor, count: number, shape: Shape4D, type: ElementType): Tensor4D {
    const { programs } = this;
    const result = programs.allocate<Tensor4D>(shape, type);
    const program = programs.get('sumOfParts', { result: type }, sumOfParts);
    programs.runFlat(program, [parts, result], result.size, { parts_count: count });
    return thenDispose(result, parts);
  }

  /** @param second Its channels follow those of `x`. */
  private forward(
    x: Tensor4D,
    filter: Tensor4D,
    geometry: ConvolutionGeometry,
    epilogue: Epilogue,
    second?: Tensor4D,
  ): Tensor4D {
    const [images, height, width] = x.shape;
    const [tapsY, tapsX, inputs, outputs] = filter.shape;
    const [outputHeight, outputWidth] = [outputSize(height, tapsY, geometry), outputSize(width, tapsX, geometry)];
    const result = this.programs.allocate<Tensor4D>(
      [images, outputHeight, outputWidth, outputs],
      this.programs.typeOf(x),
    );
    this.gather({
      ...{ source: x, second, filter, result, channels: inputs, columns: outputs, transposed: false, epilogue },
      y: forwardAxis(height, outputHeight, tapsY, geometry),
      x: forwardAxis(width, outputWidth, tapsX, geometry),
    });
    return result;
  }

  private gather(gathering: Gathering): void {
    const { programs } = this;
    const { source, second, filter, result, y, x, channels, columns, transposed, epilogue } = gathering;
    const rows = source.shape[0] * y.size * x.size;
    const tile = withinShared(this.tiles(rows, columns, depthFor(channels)), programs.backend.sharedBytes);
    const { bias, residual, relu = false } = epilogue;
    const options = {
      tile,
      image: programs.typeOf(source),
      filter: programs.typeOf(filter),
      joined: second !== undefined,
      transposed,
      widths: {
        image: programs.widthOf(channels),
        filter: programs.widthOf(transposed ? channels : columns),
        result: programs.widthOf(columns),
      },
    };
    const program = programs.get('convolution', options, gatherConvolution);
    const chosen = {
      adds_bias: Number(bias !== undefined),
      adds_residual: Number(residual !== undefined),
      relu: Number(relu),
    };
    const tensors = [
      source,
      ...(second === undefined ? [] : [second]),
      filter,
      bias ?? filter,
      residual ?? source,
      result,
    ];
    const tilesOf = this.tileCounts(tile, rows, columns);
    const values = {
      ...tilesOf,
      ...chosen,
      rows,
      channels,
      first_channels: source.shape[3],
      columns,
      filter_width: filter.shape[1],
      ...named(y, 'y'),
      ...named(x, 'x'),
    };
    const grid = programs.backend.foldedGrid(tilesOf.row_tiles * tilesOf.column_tiles);
    programs.run(program, tensors, values, grid);
  }

  private tileCounts(tile: Tile, rows: number, columns: number) {
    const size = tileSize(tile);
    return { row_tiles: Math.ceil(rows / size.rows), column_tiles: Math.ceil(columns / size.columns) };
  }
}

/** An axis's values by the names of parameters. */
function named(axis: Axis, suffix: 'y' | 'x'): Record<string, number> {
  return Object.fromEntries(Object.entries(axis).map(([name, value]) => [`${name}_${suffix}`, value as number]));
}
