import { inflateSync } from 'node:zlib';
import {
  type Element,
  Elements,
  isNumeric,
  type MatlabArray,
  MatlabContentError,
  MatlabError,
  MatlabVersionError,
  readNumbers,
  Type,
  viewOf,
} from './elements.js';

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
export function readMatrix(data: Buffer, little: boolean, depth = 0): { name: string; array: MatlabArray } {
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
