import { MatlabError, type NumericValues } from './array.js';
import { type Element, viewOf } from './elements.js';

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
