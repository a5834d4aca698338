import type { StoredDtype } from './dtype.js';

type ElementArray = new (
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
) => ArrayLike<number | bigint> & { readonly BYTES_PER_ELEMENT: number };

const arrays: Record<StoredDtype, ElementArray & { readonly BYTES_PER_ELEMENT: number }> = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/**
 * Little-endian bytes of any stored element type as float32, rounded to nearest where float32 cannot hold the value.
 * float32 bytes are looked at in place when they are aligned, else copied. Node runs on little-endian machines here.
 */
export function float32FromBytes(bytes: Uint8Array, dtype: StoredDtype): Float32Array {
  const raw = elementsOf(bytes, dtype);
  if (raw instanceof Float32Array) return raw;
  if (dtype === 'bfloat16') return bfloat16ToFloat32(raw as Uint16Array);
  const result = new Float32Array(raw.length);
  if (dtype === 'float16') {
    for (let i = 0; i < result.length; i++) result[i] = halfToNumber(raw[i] as number);
  } else {
    for (let i = 0; i < result.length; i++) result[i] = Number(raw[i]);
  }
  return result;
}

function elementsOf(bytes: Uint8Array, dtype: StoredDtype): ArrayLike<number | bigint> {
  const Elements = arrays[dtype];
  const aligned = bytes.byteOffset % Elements.BYTES_PER_ELEMENT === 0 ? bytes : Uint8Array.from(bytes);
  return new Elements(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    aligned.byteLength / Elements.BYTES_PER_ELEMENT,
  );
}

/** A bfloat16 is the upper half of a float32. */
function bfloat16ToFloat32(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < words.length; i++) words[i] = halves[i]! << 16;
  return new Float32Array(words.buffer);
}

/** IEEE 754 binary16, given as its 16 bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (0x400 + fraction) * 2 ** (exponent - 25);
}
