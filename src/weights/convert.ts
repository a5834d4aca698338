/** Bytes per element of every element type that can be stored. */
export const bytesPerElement = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float8_e4m3fn: 1,
  float8_e4m3fnuz: 1,
  float8_e5m2: 1,
  float8_e5m2fnuz: 1,
  float8_e8m0fnu: 1,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
} as const;
export type StoredDtype = keyof typeof bytesPerElement;

/** PyTorch's name for a storage of an element type: a class in its module `torch`. Newer types have untyped storages only. */
export const storageNames = {
  float64: 'DoubleStorage',
  float32: 'FloatStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  int64: 'LongStorage',
  int32: 'IntStorage',
  int16: 'ShortStorage',
  int8: 'CharStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
} as const satisfies Partial<Record<StoredDtype, string>>;

/** Storages of PyTorch whose elements are not read: bytes per element, and what PyTorch calls the type. */
export const unreadableStorages: Readonly<Record<string, { readonly bytes: number; readonly dtype: string }>> = {
  ComplexDoubleStorage: { bytes: 16, dtype: 'complex128' },
  ComplexFloatStorage: { bytes: 8, dtype: 'complex64' },
  QInt8Storage: { bytes: 1, dtype: 'qint8' },
  QUInt8Storage: { bytes: 1, dtype: 'quint8' },
  QInt32Storage: { bytes: 4, dtype: 'qint32' },
  QUInt4x2Storage: { bytes: 1, dtype: 'quint4x2' },
  QUInt2x4Storage: { bytes: 1, dtype: 'quint2x4' },
};

export function isStoredDtype(name: string): name is StoredDtype {
  return Object.hasOwn(bytesPerElement, name);
}

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
  float8_e4m3fn: Uint8Array,
  float8_e4m3fnuz: Uint8Array,
  float8_e5m2: Uint8Array,
  float8_e5m2fnuz: Uint8Array,
  float8_e8m0fnu: Uint8Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** What the bits of a floating-point type below 32 bits stand for, as a number; types that are not here need no decoding. */
const decoders: Readonly<Partial<Record<StoredDtype, (bits: number) => number>>> = {
  float16: decoderOf({ exponentBits: 5, fractionBits: 10, bias: 15, special: 'ieee' }),
  float8_e5m2: decoderOf({ exponentBits: 5, fractionBits: 2, bias: 15, special: 'ieee' }),
  float8_e4m3fn: decoderOf({ exponentBits: 4, fractionBits: 3, bias: 7, special: 'all ones' }),
  float8_e5m2fnuz: decoderOf({ exponentBits: 5, fractionBits: 2, bias: 16, special: 'minus zero' }),
  float8_e4m3fnuz: decoderOf({ exponentBits: 4, fractionBits: 3, bias: 8, special: 'minus zero' }),
  // An exponent alone: no sign, no zero.
  float8_e8m0fnu: (bits) => (bits === 0xff ? Number.NaN : 2 ** (bits - 127)),
};

/**
 * Little-endian bytes of any stored element type as float32: exact, but for float64 and for integers beyond ±2^24, which are
 * rounded to nearest (`firstInexact` finds the latter). float32 bytes are looked at in place when they are aligned, else
 * copied. Node runs on little-endian machines here.
 */
export function float32FromBytes(bytes: Uint8Array, dtype: StoredDtype): Float32Array {
  const raw = elementsOf(bytes, dtype);
  if (raw instanceof Float32Array) return raw;
  if (dtype === 'bfloat16') return bfloat16ToFloat32(raw as Uint16Array);
  const decode = decoders[dtype];
  const result = new Float32Array(raw.length);
  if (decode !== undefined) {
    const patterns = 2 ** (8 * bytesPerElement[dtype]);
    if (raw.length < patterns) {
      for (let i = 0; i < result.length; i++) result[i] = decode(raw[i] as number);
    } else {
      const table = Float32Array.from({ length: patterns }, (_, bits) => decode(bits));
      for (let i = 0; i < result.length; i++) result[i] = table[raw[i] as number]!;
    }
  } else {
    for (let i = 0; i < result.length; i++) result[i] = Number(raw[i]);
  }
  return result;
}

/** Index and value of the first integer that float32 does not hold exactly; null where there is none, or the type is no integer. */
export function firstInexact({
  dtype,
  bytes,
}: {
  readonly dtype: StoredDtype;
  bytes(): Uint8Array;
}): { readonly index: number; readonly value: number | bigint } | null {
  if (!/^u?int(32|64)$/.test(dtype)) return null;
  const raw = elementsOf(bytes(), dtype);
  for (let index = 0; index < raw.length; index++) {
    const value = raw[index]!;
    const rounded = Math.fround(Number(value));
    const same = typeof value === 'bigint' ? BigInt(rounded) === value : rounded === value;
    if (!same) return { index, value };
  }
  return null;
}

/** A value as stored: of float64 what it is before it is rounded to float32. */
export function storedValue(
  { dtype, bytes }: { readonly dtype: StoredDtype; bytes(): Uint8Array },
  index: number,
): number | bigint {
  return dtype === 'float64' ? elementsOf(bytes(), dtype)[index]! : float32FromBytes(bytes(), dtype)[index]!;
}

/** How PyTorch's "negative" bit, which says that a tensor is minus what is stored, is applied to a type; absent where it cannot be. */
const negations: Readonly<Partial<Record<StoredDtype, 'sign bit' | 'complement'>>> = {
  float64: 'sign bit',
  float32: 'sign bit',
  float16: 'sign bit',
  bfloat16: 'sign bit',
  int64: 'complement',
  int32: 'complement',
  int16: 'complement',
  int8: 'complement',
  uint8: 'complement',
};

export function canNegate(dtype: StoredDtype): boolean {
  return negations[dtype] !== undefined;
}

/** A copy of little-endian values, each with the other sign, as `torch.neg` gives it: of integers, the two's complement. */
export function negated(bytes: Uint8Array, dtype: StoredDtype): Uint8Array {
  const how = negations[dtype];
  if (how === undefined) throw new Error(`There is no negative of ${dtype}.`);
  const result = Uint8Array.from(bytes);
  const size = bytesPerElement[dtype];
  for (let start = 0; start < result.length; start += size) {
    if (how === 'sign bit') {
      result[start + size - 1]! ^= 0x80;
      continue;
    }
    let carry = 1;
    for (let at = start; at < start + size; at++) {
      const sum = (~result[at]! & 0xff) + carry;
      result[at] = sum;
      carry = sum >> 8;
    }
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

interface FloatFormat {
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /**
   * What is no number: as IEEE 754 has it, the highest exponent (infinity or NaN); only the bits that are all ones but the
   * sign; or only the bits of minus zero (Micikevicius et al., FP8 Formats for Deep Learning; Noune et al., for "fnuz").
   */
  readonly special: 'ieee' | 'all ones' | 'minus zero';
}

/** Decodes a floating-point number with sign, exponent and fraction, given as its bits. */
function decoderOf({ exponentBits, fractionBits, bias, special }: FloatFormat): (bits: number) => number {
  const signBit = 1 << (exponentBits + fractionBits);
  const highestExponent = (1 << exponentBits) - 1;
  const smallest = 2 ** (1 - bias - fractionBits);
  return (bits) => {
    const magnitude = bits & (signBit - 1);
    const sign = bits & signBit ? -1 : 1;
    const exponent = magnitude >> fractionBits;
    const fraction = magnitude & ((1 << fractionBits) - 1);
    if (special === 'minus zero' && bits === signBit) return Number.NaN;
    if (special === 'all ones' && magnitude === signBit - 1) return Number.NaN;
    if (special === 'ieee' && exponent === highestExponent) {
      return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    }
    if (exponent === 0) return sign * fraction * smallest;
    return sign * ((1 << fractionBits) + fraction) * smallest * 2 ** (exponent - 1);
  };
}
