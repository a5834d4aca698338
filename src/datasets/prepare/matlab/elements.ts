/** A file that is no MAT-file of level 5, a damaged one, or one that holds something else than was asked for. */
export class MatlabError extends Error {
  override readonly name: string = 'MatlabError';
}

/** A file of another version of the format: a whole one, which was saved anew by somebody. */
export class MatlabVersionError extends MatlabError {
  override readonly name = 'MatlabVersionError';
}

/** A whole file in which something else is than was asked for. */
export class MatlabContentError extends MatlabError {
  override readonly name = 'MatlabContentError';
}

export type NumericValues =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** Arrays are column-major: the first dimension runs fastest. */
export type MatlabArray =
  | { readonly kind: 'numeric'; readonly dimensions: readonly number[]; readonly values: NumericValues }
  | { readonly kind: 'text'; readonly dimensions: readonly number[]; readonly text: string }
  | { readonly kind: 'cell'; readonly dimensions: readonly number[]; readonly cells: readonly MatlabArray[] }
  | {
      readonly kind: 'struct';
      readonly dimensions: readonly number[];
      /** Of each field, a value an element. */
      readonly fields: ReadonlyMap<string, readonly MatlabArray[]>;
    }
  /** Sparse matrices, objects and functions: their place is known, their content is not read. */
  | { readonly kind: 'unread'; readonly type: string };

/** Data types of elements (table 1-1 of the format). */
export const Type = {
  int8: 1,
  uint8: 2,
  int32: 5,
  uint32: 6,
  matrix: 14,
  compressed: 15,
  utf8: 16,
  utf16: 17,
  utf32: 18,
} as const;

/** A piece of a file: its data type and its bytes. */
export interface Element {
  readonly type: number;
  readonly data: Buffer;
}

/** Elements one after the other in `bytes`. */
export class Elements {
  private at = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly little: boolean,
  ) {}

  get ended(): boolean {
    return this.at >= this.bytes.length;
  }

  private word(at: number): number {
    if (at + 4 > this.bytes.length) throw new MatlabError('truncated');
    return this.little ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }

  next(): Element {
    const first = this.word(this.at);
    // Up to four bytes of data are packed into the tag, whose upper half holds their number then.
    const packed = first >>> 16;
    if (packed !== 0) {
      if (packed > 4 || this.at + 8 > this.bytes.length) throw new MatlabError('damaged (a small element)');
      const data = this.bytes.subarray(this.at + 4, this.at + 4 + packed);
      this.at += 8;
      return { type: first & 0xffff, data };
    }
    const length = this.word(this.at + 4);
    const start = this.at + 8;
    if (start + length > this.bytes.length) throw new MatlabError('truncated');
    // Data is padded to multiples of 8 bytes, compressed data is not; the last padding may be left out.
    this.at = start + (first === Type.compressed ? length : Math.ceil(length / 8) * 8);
    return { type: first, data: this.bytes.subarray(start, start + length) };
  }

  /** The next element, which must be of one of these types. */
  expect(what: string, ...types: readonly number[]): Buffer {
    const { type, data } = this.next();
    if (!types.includes(type)) throw new MatlabError(`damaged (${what} of data type ${type})`);
    return data;
  }
}

/** The same bytes, to be read as numbers. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type Reader = (view: DataView, at: number, little: boolean) => number | bigint;

/** Of each numeric data type: bytes a value, and how one is read. */
const NUMBERS: Readonly<Record<number, { readonly bytes: number; readonly read: Reader }>> = {
  1: { bytes: 1, read: (view, at) => view.getInt8(at) },
  2: { bytes: 1, read: (view, at) => view.getUint8(at) },
  3: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  4: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  5: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  6: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  7: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  9: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  12: { bytes: 8, read: (view, at, little) => view.getBigInt64(at, little) },
  13: { bytes: 8, read: (view, at, little) => view.getBigUint64(at, little) },
};

/** Array classes (table 1-3) that hold numbers. A file may store the values in a smaller type than the class's. */
const CLASSES: Readonly<Record<number, new (length: number) => NumericValues>> = {
  6: Float64Array,
  7: Float32Array,
  8: Int8Array,
  9: Uint8Array,
  10: Int16Array,
  11: Uint16Array,
  12: Int32Array,
  13: Uint32Array,
  14: BigInt64Array,
  15: BigUint64Array,
};

/** Whether an array class holds numbers. */
export function isNumeric(arrayClass: number): boolean {
  return arrayClass in CLASSES;
}

/** @throws MatlabError unless the element holds that many numbers, which the class has. */
export function readNumbers(
  { type, data }: Element,
  arrayClass: number,
  count: number,
  little: boolean,
): NumericValues {
  const number = NUMBERS[type];
  const Values = CLASSES[arrayClass]!;
  if (!number) throw new MatlabError(`damaged (values of data type ${type})`);
  if (data.length !== count * number.bytes) {
    throw new MatlabError(`damaged (${data.length / number.bytes} values, expected ${count})`);
  }
  const values = new Values(count);
  const view = viewOf(data);
  const big = values instanceof BigInt64Array || values instanceof BigUint64Array;
  const rounds = values instanceof Float32Array || values instanceof Float64Array;
  for (let i = 0; i < count; i++) {
    const value = number.read(view, i * number.bytes, little);
    const isWhole = typeof value === 'bigint' || Number.isInteger(value);
    if (!rounds && !isWhole) throw new MatlabError(`damaged (${value} in a class of whole numbers)`);
    const converted = big ? BigInt(value) : Number(value);
    values[i] = converted;
    if (!rounds && values[i] !== converted) throw new MatlabError(`damaged (${value} does not fit into its class)`);
  }
  return values;
}
