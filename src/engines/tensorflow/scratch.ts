import { availableParallelism } from 'node:os';
import type { OperationAttribute } from '../engine.js';

/** Shape of an input or output, and the bytes of an element. */
export interface StoredShape {
  readonly shape: readonly number[];
  readonly elementBytes: number;
}

const FLOAT_BYTES = 4;

/** The largest cache that a processor is expected to have. TensorFlow unfolds as many images at a time as fill it. */
const CACHE_BYTES = 256 * 2 ** 20;

function elementsOf({ shape }: StoredShape): number {
  return shape.reduce((product, size) => product * size, 1);
}

function bytesOf(stored: StoredShape): number {
  return elementsOf(stored) * stored.elementBytes;
}

type Scratch = (
  inputs: readonly StoredShape[],
  outputs: readonly StoredShape[],
  attribute: (name: string) => OperationAttribute['value'] | undefined,
) => number;

/** Whether TensorFlow's own code takes a convolution's gradient: oneDNN takes only those with the padding SAME. */
function isUnfolded(attribute: (name: string) => OperationAttribute['value'] | undefined): boolean {
  return attribute('padding') === 'EXPLICIT';
}

/** Elements of an unfolded image: all inputs of every pixel of the gradient, [height, width] · filter [height, width, inputs]. */
function unfoldedElements(gradient: StoredShape, [kernelHeight, kernelWidth, inputs]: readonly number[]): number {
  const [, height, width] = gradient.shape;
  return height! * width! * kernelHeight! * kernelWidth! * inputs!;
}

/**
 * Bytes that an operation of TensorFlow allocates besides its outputs, and frees when it ends. Measured on each operation of a
 * training step with TensorFlow 2.21, on two cores: the largest of what was seen, as a function of the shapes.
 */
const SCRATCH: Readonly<Record<string, Scratch>> = {
  /** The filter in oneDNN's own layout. */
  Conv2D: ([, filter]) => bytesOf(filter!),
  /** The same; or an unfolded image (tensorflow/core/kernels/conv_grad_input_ops.h). */
  Conv2DBackpropInput([, filter, gradient], _outputs, attribute) {
    if (!isUnfolded(attribute)) return bytesOf(filter!);
    return FLOAT_BYTES * unfoldedElements(gradient!, filter!.shape);
  },
  /** The gradient in oneDNN's own layout, and in 16 bits a transposed image and float32 sums; or unfolded images (conv_grad_filter_ops.cc). */
  Conv2DBackpropFilter([image, , gradient], [filter], attribute) {
    if (!isUnfolded(attribute)) {
      const sums = FLOAT_BYTES * elementsOf(filter!);
      return filter!.elementBytes === FLOAT_BYTES ? sums : 2 * sums + bytesOf(image!);
    }
    const [images, height, width, outputs] = gradient!.shape as [number, number, number, number];
    const unfolded = unfoldedElements(gradient!, filter!.shape);
    const one = unfolded + height * width * outputs + elementsOf(filter!);
    return FLOAT_BYTES * unfolded * Math.min(images, Math.ceil(CACHE_BYTES / FLOAT_BYTES / one));
  },
};

/** As `SCRATCH`, of this package's own operations, which allocate from the C library. */
const OWN_SCRATCH: Readonly<Record<string, Scratch>> = {
  /** Where the largest value of each window was, of one image (native/operations/max-pool.cc). */
  FcnMaxPoolGradient: ([gradient]) => (4 * elementsOf(gradient!)) / gradient!.shape[0]!,
};

/** Tiles of `outputs` pixels of a map along one axis: each of the `dilation` phases is tiled by itself. */
export function tilesAlong(size: number, dilation: number, outputs: number): number {
  let tiles = 0;
  for (let phase = 0; phase < Math.min(dilation, size); phase++) {
    tiles += Math.ceil(Math.ceil((size - phase) / dilation) / outputs);
  }
  return tiles;
}

/** As in native/operations/winograd-convolution.cc, whose constants these are; up to a few paddings. */
const WINOGRAD = {
  narrowFilter: 128 * 128,
  mostColumns: 512,
  mostDepth: 256,
  tileRow: 256 + 16,
  ownStrip: 28,
  sharedStrip: 128,
  section: 512,
} as const;

/**
 * Bytes of work memory of a Winograd convolution: the transformed filter, the transformed tiles of a strip or of one for each thread, and
 * their products.
 * @param m Width of a tile of outputs.
 */
function winogradWorkBytes(
  m: number,
  inputs: number,
  outputs: number,
  { shape: [images, height, width] }: StoredShape,
  dilation: number,
): number {
  const points = (m + 2) ** 2;
  const tiles = images! * tilesAlong(height!, dilation, m) * tilesAlong(width!, dilation, m);
  const factor = m === 2 ? 2 : 1;
  if (inputs * outputs <= WINOGRAD.narrowFilter) {
    const strips = availableParallelism() * Math.min(tiles, WINOGRAD.ownStrip * factor);
    return FLOAT_BYTES * points * (inputs * outputs + strips * (WINOGRAD.tileRow + outputs + 16));
  }
  const columns = Math.min(outputs, WINOGRAD.mostColumns);
  const strip = WINOGRAD.sharedStrip * factor;
  const section = Math.max((WINOGRAD.section * factor * WINOGRAD.mostColumns) / columns, strip);
  const products = Math.min(tiles, section) * (columns + 16);
  const depth = Math.min(inputs, WINOGRAD.mostDepth);
  return FLOAT_BYTES * points * (depth * columns + Math.min(tiles, strip) * WINOGRAD.tileRow + products);
}

/** As in native/operations/winograd-filter-gradient.cc, whose constants these are; up to a few paddings. */
const FILTER_GRADIENT = { strip: 512, block: 128, mostKept: 5 * 2 ** 16, group: 32 } as const;

/** The same of the filter gradient: the transformed inputs and gradients of a strip, and a block of the transformed filter gradient. */
function filterGradientWorkBytes(m: number, inputs: number, gradient: StoredShape, dilation: number): number {
  const [images, height, width, outputs] = gradient.shape as [number, number, number, number];
  const tiles = images * tilesAlong(height, dilation, m) * tilesAlong(width, dilation, m);
  const strip = Math.min(tiles, FILTER_GRADIENT.strip);
  const block = Math.min(inputs, FILTER_GRADIENT.block);
  const kept = inputs > block ? tiles : strip;
  const sections = Math.ceil((kept * outputs) / Math.max(FILTER_GRADIENT.mostKept, kept * FILTER_GRADIENT.group));
  const columns = FILTER_GRADIENT.group * Math.ceil(Math.ceil(outputs / sections) / FILTER_GRADIENT.group);
  return FLOAT_BYTES * (m + 2) ** 2 * (strip * block + kept * columns + block * (columns + 16));
}

/** As `SCRATCH`, of what the process keeps once it has been needed: the work memory that the Winograd convolutions share. */
const KEPT: Readonly<Record<string, Scratch>> = {
  FcnWinogradConvolution([, filter], [y], attribute) {
    const [, , inputs, outputs] = filter!.shape;
    return winogradWorkBytes(attribute('tile') as number, inputs!, outputs!, y!, attribute('dilation') as number);
  },
  FcnWinogradFilterGradient: ([gradient, x], _outputs, attribute) =>
    filterGradientWorkBytes(attribute('tile') as number, x!.shape[3]!, gradient!, attribute('dilation') as number),
  FcnWinogradInputGradient([, filter], [x], attribute) {
    const [, , inputs, outputs] = filter!.shape;
    return winogradWorkBytes(attribute('tile') as number, outputs!, inputs!, x!, attribute('dilation') as number);
  },
};

export interface ScratchBytes {
  /** By TensorFlow's allocator. */
  readonly allocator: number;
  /** By the C library. */
  readonly library: number;
  /** Shared by all operations, and not freed. */
  readonly kept: number;
}

/** What an operation allocates besides its outputs, in bytes. */
export function scratchBytes(
  name: string,
  attributes: readonly OperationAttribute[],
  inputs: readonly StoredShape[],
  outputs: readonly StoredShape[],
): ScratchBytes {
  const attribute = (wanted: string) => attributes.find((each) => each.name === wanted)?.value;
  return {
    allocator: SCRATCH[name]?.(inputs, outputs, attribute) ?? 0,
    library: OWN_SCRATCH[name]?.(inputs, outputs, attribute) ?? 0,
    kept: KEPT[name]?.(inputs, outputs, attribute) ?? 0,
  };
}
