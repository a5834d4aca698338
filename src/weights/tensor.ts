import { allocateTensorValues } from '../support/block.js';
import { bytesPerElement, float32FromBytes, negated, type StoredDtype } from './dtypes.js';
import { MalformedFileError, quote } from './malformed.js';
import type { ByteSource } from './source.js';

/** A tensor that can be written. */
export interface WritableTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  /** `[]` for a scalar. */
  readonly shape: readonly number[];
  /**
   * The values, row-major, little-endian. The writer asks for one tensor at a time, so that only one is in memory, and uses the
   * bytes before it asks for the next.
   */
  bytes(): Uint8Array | Promise<Uint8Array>;
}

/** A tensor in a file. Its values are read when they are asked for, and must not be changed. Convolution weights are OIHW. */
export interface StoredTensor extends WritableTensor {
  readonly elements: number;
  /** The bytes that `bytes()` reads or returns, whichever are more: a view may skip elements. */
  readonly costInBytes: number;
  bytes(): Uint8Array;
  /** The values in row-major order as float32: see `float32FromBytes`. */
  toFloat32(): Float32Array;
}

/** A range of a file with elements of one type. */
interface Storage {
  readonly source: ByteSource;
  readonly byteOffset: number;
  readonly dtype: StoredDtype;
  readonly elements: number;
}

/** The elements of a storage that make a tensor. Offset and strides are in elements, with one stride for each axis. */
export interface View {
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** PyTorch's own limit. */
const MOST_DIMENSIONS = 64;

/** @throws MalformedFileError if the shape is not a list of whole numbers, or their product is not an exact integer. */
export function elementCount(shape: readonly unknown[]): number {
  if (shape.length > MOST_DIMENSIONS) throw new MalformedFileError(`it has a tensor of ${shape.length} dimensions`);
  let count = 1;
  for (const length of shape) {
    if (!isCount(length)) throw new MalformedFileError('it has a shape that is not made of whole numbers ≥ 0');
    count *= length;
  }
  if (!Number.isSafeInteger(count))
    throw new MalformedFileError(`it has a tensor of about ${count.toExponential(1)} elements`);
  return count;
}

/** A whole number ≥ 0 that a double holds exactly. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Row-major strides of a shape, in elements. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= Math.max(shape[axis]!, 1);
  }
  return strides;
}

/**
 * The number of elements from a view's first to its last, both included; 0 if it has none.
 * @throws MalformedFileError if the view reaches beyond `storageElements` elements.
 */
function extentOf(name: string, view: View, storageElements: number): number {
  if (!isCount(view.offset))
    throw new MalformedFileError(`tensor ${quote(name)} has an offset that is not a whole number ≥ 0`);
  if (view.strides.length !== view.shape.length || !view.strides.every(isCount)) {
    throw new MalformedFileError(`tensor ${quote(name)} has strides that do not fit its shape`);
  }
  if (elementCount(view.shape) === 0) return 0;
  const extent = view.shape.reduce((sum, length, axis) => sum + (length - 1) * view.strides[axis]!, 1);
  if (!(view.offset + extent <= storageElements)) {
    throw new MalformedFileError(
      `tensor ${quote(name)} of shape [${view.shape}], strides [${view.strides}], offset ${view.offset} ` +
        `reaches beyond its storage of ${storageElements} elements`,
    );
  }
  return extent;
}

/** A view of a storage as a tensor. @throws MalformedFileError that names it if the view reaches beyond the storage. */
export function tensorOf(name: string, storage: Storage, view: View, isNegative = false): StoredTensor {
  const elements = elementCount(view.shape);
  const extent = extentOf(name, view, storage.elements);
  const size = bytesPerElement[storage.dtype];
  const rowMajor = contiguousStrides(view.shape);
  const contiguous = view.shape.every((length, axis) => length === 1 || view.strides[axis] === rowMajor[axis]);
  const bytes = (): Uint8Array => {
    // The offset of a tensor without elements has no meaning and may be any number.
    if (elements === 0) return new Uint8Array();
    const span = storage.source.read(storage.byteOffset + view.offset * size, extent * size);
    const values = contiguous ? span : gather(span, size, view, elements);
    return isNegative ? negated(values, storage.dtype) : values;
  };
  return {
    name,
    dtype: storage.dtype,
    shape: [...view.shape],
    elements,
    costInBytes: Math.max(extent, elements) * size,
    bytes,
    toFloat32: () => float32FromBytes(bytes(), storage.dtype),
  };
}

/** The elements of a strided view, copied into row-major order. `span` begins at the view's first element. */
function gather(span: Uint8Array, size: number, view: View, elements: number): Uint8Array {
  const result = new Uint8Array(elements * size);
  const index = new Array<number>(view.shape.length).fill(0);
  let source = 0;
  for (let target = 0; target < result.length; target += size) {
    for (let byte = 0; byte < size; byte++) result[target + byte] = span[source * size + byte]!;
    for (let axis = view.shape.length - 1; axis >= 0; axis--) {
      source += view.strides[axis]!;
      index[axis]!++;
      if (index[axis]! < view.shape[axis]!) break;
      source -= view.strides[axis]! * view.shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

/** Bytes of a tensor's values. */
export function byteLength({ shape, dtype }: WritableTensor): number {
  return elementCount(shape) * bytesPerElement[dtype];
}

/** A tensor's values. @throws Error if their length does not fit the shape. */
export async function valuesOf(tensor: WritableTensor): Promise<Uint8Array> {
  const bytes = await tensor.bytes();
  if (bytes.length === byteLength(tensor)) return bytes;
  throw new Error(`${tensor.name} has ${bytes.length} bytes; its shape asks for ${byteLength(tensor)}.`);
}

/**
 * Shape of a convolution's weights: OIHW (output channel, input channel, row, column) in files, as in PyTorch; HWIO on the
 * engines, as in TensorFlow.
 */
type Shape4D = readonly [number, number, number, number];

/** OIHW values of shape [O,I,H,W] → HWIO values of shape [H,W,I,O], written into `result`, which has the same length. */
export function oihwToHwio(
  values: Float32Array,
  [outputs, inputs, height, width]: Shape4D,
  result: Float32Array = allocateTensorValues(values.length),
): Float32Array {
  const area = height * width;
  let source = 0;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let tap = 0; tap < area; tap++) result[(tap * inputs + i) * outputs + o] = values[source++]!;
    }
  }
  return result;
}

/** HWIO values of shape [H,W,I,O] → OIHW values of shape [O,I,H,W], written into `result`, which has the same length. */
export function hwioToOihw(
  values: Float32Array,
  [height, width, inputs, outputs]: Shape4D,
  result: Float32Array = new Float32Array(values.length),
): Float32Array {
  const area = height * width;
  let source = 0;
  for (let tap = 0; tap < area; tap++) {
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) result[(o * inputs + i) * area + tap] = values[source++]!;
    }
  }
  return result;
}

/** The axes of an OIHW shape in HWIO order. */
export function hwioShape([outputs, inputs, height, width]: Shape4D): [number, number, number, number] {
  return [height, width, inputs, outputs];
}

/** The axes of an HWIO shape in OIHW order. */
export function oihwShape([height, width, inputs, outputs]: Shape4D): [number, number, number, number] {
  return [outputs, inputs, height, width];
}
