import { type MatlabArray, MatlabError } from './array.js';
import { type Element, Elements, Type, viewOf } from './elements.js';
import { isNumeric, readNumbers } from './numbers.js';

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
