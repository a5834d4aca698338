import { inflateSync } from 'node:zlib';

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

type NumericValues =
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
type MatlabArray =
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
interface Element {
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
function isNumeric(arrayClass: number): boolean {
  return arrayClass in CLASSES;
}

/** @throws MatlabError unless the element holds that many numbers, which the class has. */
function readNumbers({ type, data }: Element, arrayClass: number, count: number, little: boolean): NumericValues {
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

const CELL = 1;
const STRUCT = 2;
const TEXT = 4;
const OTHER_CLASSES: Readonly<Record<number, string>> = { 3: 'object', 5: 'sparse', 16: 'function', 17: 'object' };

/** Cells and structures within each other. */
const DEEPEST = 32;

function readDimensions(data: Buffer, little: boolean): number[] {
  if (data.length < 8 || data.length % 4 !== 0) throw new MatlabError('damaged (dimensions)');
  const view = viewOf(data);
  const dimensions = Array.from({ length: data.length / 4 }, (_, i) => view.getInt32(i * 4, little));
  if (dimensions.some((size) => size < 0)) throw new MatlabError('damaged (a negative dimension)');
  return dimensions;
}

function countOf(dimensions: readonly number[]): number {
  return dimensions.reduce((product, size) => product * size, 1);
}

function readText({ type, data }: Element, count: number, little: boolean): string {
  if (type === Type.utf8 || type === Type.int8 || type === Type.uint8) return data.toString('utf8');
  if (type === Type.utf32) throw new MatlabError('characters of 32 bits are not read');
  // Characters are otherwise stored as 16-bit numbers, under their own type or as plain numbers.
  if (data.length !== count * 2) throw new MatlabError('damaged (characters)');
  return (little ? data : Buffer.from(data).swap16()).toString('utf16le');
}

function readFieldNames(elements: Elements, little: boolean): string[] {
  const lengthData = elements.expect('the length of field names', Type.int32);
  if (lengthData.length !== 4) throw new MatlabError('damaged (the length of field names)');
  const length = viewOf(lengthData).getInt32(0, little);
  const names = elements.expect('field names', Type.int8);
  if (length < 1 || names.length % length !== 0) throw new MatlabError('damaged (field names)');
  return Array.from({ length: names.length / length }, (_, i) => {
    const name = names.subarray(i * length, (i + 1) * length);
    const end = name.indexOf(0);
    return name.toString('latin1', 0, end < 0 ? length : end);
  });
}

/**
 * An array and its name ('' within cells and structures), of the data of a matrix element.
 * @throws MatlabError where it is damaged.
 */
function readMatrix(data: Buffer, little: boolean, depth = 0): { name: string; array: MatlabArray } {
  // An empty matrix element stands for an empty array.
  if (data.length === 0)
    return { name: '', array: { kind: 'numeric', dimensions: [0, 0], values: new Float64Array(0) } };
  if (depth > DEEPEST) throw new MatlabError(`cells or structures are more than ${DEEPEST} deep`);
  const elements = new Elements(data, little);
  const flags = elements.expect('array flags', Type.uint32);
  if (flags.length !== 8) throw new MatlabError('damaged (array flags)');
  const arrayClass = viewOf(flags).getUint32(0, little) & 0xff;
  const other = OTHER_CLASSES[arrayClass];
  if (arrayClass === 17) return { name: '', array: { kind: 'unread', type: 'object' } };
  const dimensions = readDimensions(elements.expect('dimensions', Type.int32), little);
  const name = elements.expect('a name', Type.int8).toString('latin1');
  if (other) return { name, array: { kind: 'unread', type: other } };

  const count = countOf(dimensions);
  const inner = (): MatlabArray => readMatrix(elements.expect('an array', Type.matrix), little, depth + 1).array;
  if (arrayClass === CELL) {
    const cells: MatlabArray[] = [];
    for (let i = 0; i < count; i++) cells.push(inner());
    return { name, array: { kind: 'cell', dimensions, cells } };
  }
  if (arrayClass === STRUCT) {
    const names = readFieldNames(elements, little);
    const fields = new Map<string, MatlabArray[]>(names.map((field) => [field, []]));
    // Without fields there is nothing to run out of: a wrong count would be believed.
    if (names.length > 0) for (let i = 0; i < count; i++) for (const field of names) fields.get(field)!.push(inner());
    return { name, array: { kind: 'struct', dimensions, fields } };
  }
  if (arrayClass === TEXT) {
    return { name, array: { kind: 'text', dimensions, text: readText(elements.next(), count, little) } };
  }
  if (!isNumeric(arrayClass)) throw new MatlabError(`damaged (array class ${arrayClass})`);
  return {
    name,
    array: { kind: 'numeric', dimensions, values: readNumbers(elements.next(), arrayClass, count, little) },
  };
}

/**
 * MAT-files of level 5 (MATLAB v5 to v7), as "MAT-File Format" (The MathWorks, R2024) describes them: numeric arrays,
 * characters, cells and structures, compressed or not, of either byte order. Everything is checked against the bytes there
 * are, so a damaged file is an error and never a wrong array.
 */

/** Bytes of the header: text, offset, version, byte order. */
const HEADER = 128;
const VERSION_5 = 0x0100;

/** A variable may not take more when it is decompressed: far more than any label map, far less than the memory. */
const LARGEST = 2 ** 28;

const HDF5 = Buffer.from([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]);
const LEVEL_5 = 'expected one of level 5 (save -v7 or -v6)';

/** @throws MatlabVersionError or MatlabError unless the header is that of level 5; returns whether the file is little-endian. */
function readHeader(bytes: Buffer): boolean {
  if (bytes.subarray(0, 8).equals(HDF5)) throw new MatlabVersionError(`an HDF5 file, ${LEVEL_5}`);
  if (bytes.length < HEADER) throw new MatlabError('no MAT-file, or truncated');
  // Level 4 begins with a number below 5000 that tells type and byte order; from level 5 on there is text without zeros.
  if (bytes.subarray(0, 4).includes(0)) throw new MatlabVersionError(`no MAT-file, or one of level 4; ${LEVEL_5}`);
  const mark = bytes.toString('latin1', 126, 128);
  if (mark !== 'IM' && mark !== 'MI') throw new MatlabError('no MAT-file (no mark of the byte order)');
  const little = mark === 'IM';
  const version = little ? bytes.readUInt16LE(124) : bytes.readUInt16BE(124);
  if (version === 0x0200) throw new MatlabVersionError(`a MAT-file of version 7.3 (HDF5), ${LEVEL_5}`);
  if (version !== VERSION_5)
    throw new MatlabVersionError(`a MAT-file of version 0x${version.toString(16)}, ${LEVEL_5}`);
  return little;
}

function decompress(data: Buffer, little: boolean): Element {
  let bytes: Buffer;
  try {
    bytes = inflateSync(data, { maxOutputLength: LARGEST });
  } catch (error) {
    throw new MatlabError(`damaged (${(error as Error).message})`, { cause: error });
  }
  return new Elements(bytes, little).next();
}

/**
 * The variables of a MAT-file of level 5.
 * @throws MatlabVersionError for another version; MatlabError for a truncated or damaged file.
 */
export function readMatlab(bytes: Buffer): Map<string, MatlabArray> {
  const little = readHeader(bytes);
  const variables = new Map<string, MatlabArray>();
  const elements = new Elements(bytes.subarray(HEADER), little);
  while (!elements.ended) {
    const outer = elements.next();
    const { type, data } = outer.type === Type.compressed ? decompress(outer.data, little) : outer;
    if (type !== Type.matrix) continue;
    const { name, array } = readMatrix(data, little);
    variables.set(name, array);
  }
  return variables;
}

/**
 * A numeric matrix of whole numbers from 0 to 65535 as row-major [height, width].
 * @throws MatlabContentError where `array` is none.
 */
export function toLabelMap(
  array: MatlabArray | undefined,
  what: string,
): { height: number; width: number; data: Uint16Array } {
  if (array?.kind !== 'numeric' || array.dimensions.length !== 2) {
    throw new MatlabContentError(`${what} is ${array ? `no numeric matrix` : 'not there'}`);
  }
  const [height, width] = array.dimensions as [number, number];
  const data = new Uint16Array(height * width);
  for (let x = 0, from = 0; x < width; x++) {
    for (let y = 0; y < height; y++, from++) {
      const value = Number(array.values[from]);
      if (!Number.isInteger(value) || value < 0 || value > 0xffff) {
        throw new MatlabContentError(`${what} holds ${value} at row ${y}, column ${x}, which is no label`);
      }
      data[y * width + x] = value;
    }
  }
  return { height, width, data };
}
