import { inflateSync } from 'node:zlib';

/** A file that is not a MAT-file of level 5, is damaged, or does not hold what is needed. */
export class MatlabError extends Error {
  override readonly name: string = 'MatlabError';
}

/** An undamaged file of another version of the format. */
export class MatlabVersionError extends MatlabError {
  override readonly name = 'MatlabVersionError';
}

/** An undamaged file that does not hold what is needed. */
export class MatlabContentError extends MatlabError {
  override readonly name = 'MatlabContentError';
}

/** Arrays are column-major: the first dimension runs fastest. */
type MatlabArray =
  | { readonly kind: 'numeric'; readonly dimensions: readonly number[]; readonly values: NumericValues }
  | { readonly kind: 'text'; readonly dimensions: readonly number[]; readonly text: string }
  | { readonly kind: 'cell'; readonly dimensions: readonly number[]; readonly cells: readonly MatlabArray[] }
  | {
      readonly kind: 'struct';
      readonly dimensions: readonly number[];
      /** Of each field, its value in each element. */
      readonly fields: ReadonlyMap<string, readonly MatlabArray[]>;
    }
  /** Sparse matrices, objects and functions: their content is skipped. */
  | { readonly kind: 'unread'; readonly type: string };

/** Data types of elements (table 1-1 of the format). */
const Type = {
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

interface Element {
  readonly type: number;
  readonly data: Buffer;
}

/** Reads the elements in `bytes` one after the other. */
class Elements {
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
    // If up to four bytes of data are packed into the tag, its upper half is their number.
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
    // Data is padded to multiples of 8 bytes, unless it is compressed; the last padding may be missing.
    this.at = start + (first === Type.compressed ? length : Math.ceil(length / 8) * 8);
    return { type: first, data: this.bytes.subarray(start, start + length) };
  }

  /** The data of the next element, which must be of this type. */
  expect(what: string, expected: number): Buffer {
    const { type, data } = this.next();
    if (type !== expected) throw new MatlabError(`damaged (${what} of data type ${type})`);
    return data;
  }
}

const viewOf = (bytes: Buffer) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

type Reader = (view: DataView, at: number, little: boolean) => number | bigint;

/** Each numeric data type: bytes a value, and how to read one. */
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
const CLASSES = {
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
} as const;
type NumericClass = keyof typeof CLASSES;
type NumericValues = InstanceType<(typeof CLASSES)[NumericClass]>;

/** @throws MatlabError unless the element holds that many numbers, and all fit into the class. */
function readNumbers({ type, data }: Element, arrayClass: NumericClass, count: number, little: boolean): NumericValues {
  const number = NUMBERS[type];
  const Values: new (length: number) => NumericValues = CLASSES[arrayClass];
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

/** Most levels of cells and structures within each other. */
const DEEPEST = 32;

function readDimensions(data: Buffer, little: boolean): number[] {
  if (data.length < 8 || data.length % 4 !== 0) throw new MatlabError('damaged (dimensions)');
  const view = viewOf(data);
  const dimensions = Array.from({ length: data.length / 4 }, (_, i) => view.getInt32(i * 4, little));
  if (dimensions.some((size) => size < 0)) throw new MatlabError('damaged (a negative dimension)');
  return dimensions;
}

function readText({ type, data }: Element, count: number, little: boolean): string {
  if (type === Type.utf8 || type === Type.int8 || type === Type.uint8) return data.toString('utf8');
  if (type === Type.utf32) throw new MatlabError('characters of 32 bits are not read');
  // Otherwise characters are stored as 16-bit numbers.
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
 * The array in the data of a matrix element, and its name: '' within cells and structures.
 * @throws MatlabError if it is damaged.
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

  const count = dimensions.reduce((product, size) => product * size, 1);
  const inner = (): MatlabArray => readMatrix(elements.expect('an array', Type.matrix), little, depth + 1).array;
  if (arrayClass === CELL) {
    const cells: MatlabArray[] = [];
    for (let i = 0; i < count; i++) cells.push(inner());
    return { name, array: { kind: 'cell', dimensions, cells } };
  }
  if (arrayClass === STRUCT) {
    const names = readFieldNames(elements, little);
    const fields = new Map<string, MatlabArray[]>(names.map((field) => [field, []]));
    // Without fields nothing is read, so that a wrong count would not end the loop.
    if (names.length > 0) for (let i = 0; i < count; i++) for (const field of names) fields.get(field)!.push(inner());
    return { name, array: { kind: 'struct', dimensions, fields } };
  }
  if (arrayClass === TEXT) {
    return { name, array: { kind: 'text', dimensions, text: readText(elements.next(), count, little) } };
  }
  if (!(arrayClass in CLASSES)) throw new MatlabError(`damaged (array class ${arrayClass})`);
  const values = readNumbers(elements.next(), arrayClass as NumericClass, count, little);
  return { name, array: { kind: 'numeric', dimensions, values } };
}

/** Bytes of the header: text, offset, version, byte order. */
const HEADER = 128;
const VERSION_5 = 0x0100;

/** Most bytes of a decompressed variable: far more than any label map, far less than the memory. */
const LARGEST = 2 ** 28;

const HDF5 = Buffer.from([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]);
const LEVEL_5 = 'expected one of level 5 (save -v7 or -v6)';

/** @returns Whether the file is little-endian. @throws MatlabVersionError or MatlabError unless it is of level 5. */
function readHeader(bytes: Buffer): boolean {
  if (bytes.subarray(0, 8).equals(HDF5)) throw new MatlabVersionError(`an HDF5 file, ${LEVEL_5}`);
  if (bytes.length < HEADER) throw new MatlabError('not a MAT-file, or truncated');
  // Level 4 begins with a number below 5000, for type and byte order; from level 5 on, files begin with text without zeros.
  if (bytes.subarray(0, 4).includes(0)) throw new MatlabVersionError(`not a MAT-file, or one of level 4; ${LEVEL_5}`);
  const mark = bytes.toString('latin1', 126, 128);
  if (mark !== 'IM' && mark !== 'MI') throw new MatlabError('not a MAT-file (no mark of the byte order)');
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
 * The variables of a MAT-file of level 5 (MATLAB v5 to v7), as "MAT-File Format" (The MathWorks, R2024) describes it: numeric
 * arrays, characters, cells and structures, compressed or not, of either byte order. All sizes are checked against the bytes
 * there are, so that a damaged file never gives a wrong array.
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
 * @throws MatlabContentError for any other array; `what` names it.
 */
export function toLabelMap(
  array: MatlabArray | undefined,
  what: string,
): { height: number; width: number; data: Uint16Array } {
  if (array?.kind !== 'numeric' || array.dimensions.length !== 2) {
    throw new MatlabContentError(`${what} is ${array ? 'not a numeric matrix' : 'missing'}`);
  }
  const [height, width] = array.dimensions as [number, number];
  const data = new Uint16Array(height * width);
  for (let x = 0, from = 0; x < width; x++) {
    for (let y = 0; y < height; y++, from++) {
      const value = Number(array.values[from]);
      if (!Number.isInteger(value) || value < 0 || value > 0xffff) {
        throw new MatlabContentError(`${what} holds ${value} at row ${y}, column ${x}, which is not a label`);
      }
      data[y * width + x] = value;
    }
  }
  return { height, width, data };
}
