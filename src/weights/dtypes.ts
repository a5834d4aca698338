import { UserError } from '../support/errors.js';

type ElementArray = new (
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
) => ArrayLike<number | bigint> & { readonly BYTES_PER_ELEMENT: number };

interface ElementType {
  /** Holds the values, or the bits of types that JavaScript does not have. */
  readonly Elements: ElementArray & { readonly BYTES_PER_ELEMENT: number };
  /** Name in a safetensors header. */
  readonly code: string;
  /** PyTorch's storage class, in its module `torch`. Newer types have untyped storages only. */
  readonly storage?: string;
  /** How PyTorch's "negative" bit is applied: the tensor is minus what is stored. Absent: it cannot be. */
  readonly negation?: 'sign bit' | 'complement';
}

const ELEMENT_TYPES = {
  float64: { Elements: Float64Array, code: 'F64', storage: 'DoubleStorage', negation: 'sign bit' },
  float32: { Elements: Float32Array, code: 'F32', storage: 'FloatStorage', negation: 'sign bit' },
  float16: { Elements: Uint16Array, code: 'F16', storage: 'HalfStorage', negation: 'sign bit' },
  bfloat16: { Elements: Uint16Array, code: 'BF16', storage: 'BFloat16Storage', negation: 'sign bit' },
  float8_e4m3fn: { Elements: Uint8Array, code: 'F8_E4M3' },
  float8_e4m3fnuz: { Elements: Uint8Array, code: 'F8_E4M3FNUZ' },
  float8_e5m2: { Elements: Uint8Array, code: 'F8_E5M2' },
  float8_e5m2fnuz: { Elements: Uint8Array, code: 'F8_E5M2FNUZ' },
  float8_e8m0fnu: { Elements: Uint8Array, code: 'F8_E8M0' },
  int64: { Elements: BigInt64Array, code: 'I64', storage: 'LongStorage', negation: 'complement' },
  int32: { Elements: Int32Array, code: 'I32', storage: 'IntStorage', negation: 'complement' },
  int16: { Elements: Int16Array, code: 'I16', storage: 'ShortStorage', negation: 'complement' },
  int8: { Elements: Int8Array, code: 'I8', storage: 'CharStorage', negation: 'complement' },
  uint64: { Elements: BigUint64Array, code: 'U64' },
  uint32: { Elements: Uint32Array, code: 'U32' },
  uint16: { Elements: Uint16Array, code: 'U16' },
  uint8: { Elements: Uint8Array, code: 'U8', storage: 'ByteStorage', negation: 'complement' },
  bool: { Elements: Uint8Array, code: 'BOOL', storage: 'BoolStorage' },
} as const satisfies Record<string, ElementType>;

/** An element type that can be stored. */
export type StoredDtype = keyof typeof ELEMENT_TYPES;

/** By name, in a fixed order. */
export const elementTypes: Readonly<Record<StoredDtype, ElementType>> = ELEMENT_TYPES;

export const bytesPerElement = Object.fromEntries(
  Object.entries(elementTypes).map(([dtype, { Elements }]) => [dtype, Elements.BYTES_PER_ELEMENT]),
) as Readonly<Record<StoredDtype, number>>;

export function isStoredDtype(name: string): name is StoredDtype {
  return Object.hasOwn(elementTypes, name);
}

/** Numbers from the bits of floating-point types below 32 bits. Other types need no decoding. */
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
 * Little-endian bytes of any stored element type as float32: exact, except that float64 and integers beyond ±2^24 are rounded to
 * nearest (`firstInexact` finds such integers). Aligned float32 bytes are not copied. The machine must be little-endian.
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

/** Index and value of the first integer that float32 does not hold exactly; null if there is none. */
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

/** A value as stored: a float64 is not rounded to float32. */
export function storedValue(
  { dtype, bytes }: { readonly dtype: StoredDtype; bytes(): Uint8Array },
  index: number,
): number | bigint {
  return dtype === 'float64' ? elementsOf(bytes(), dtype)[index]! : float32FromBytes(bytes(), dtype)[index]!;
}

export function canNegate(dtype: StoredDtype): boolean {
  return elementTypes[dtype].negation !== undefined;
}

/** A copy of little-endian values, each negated as by `torch.neg`: integers by two's complement. */
export function negated(bytes: Uint8Array, dtype: StoredDtype): Uint8Array {
  const { negation } = elementTypes[dtype];
  if (negation === undefined) throw new Error(`${dtype} cannot be negated.`);
  const result = Uint8Array.from(bytes);
  const size = bytesPerElement[dtype];
  for (let start = 0; start < result.length; start += size) {
    if (negation === 'sign bit') {
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
  const { Elements } = elementTypes[dtype];
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
   * Which bits are not finite numbers: as in IEEE 754, the highest exponent (infinity or NaN); only all ones beside the sign
   * (NaN; Micikevicius et al., FP8 Formats for Deep Learning); or only minus zero (NaN; Noune et al., 8-bit Numerical Formats).
   */
  readonly special: 'ieee' | 'all ones' | 'minus zero';
}

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

/**
 * The bits of values in float16, rounded to the nearest, ties to even.
 * @param name What the values are of, for the error.
 * @param next What the user can do.
 * @throws UserError if a value is not finite in float16, which ends at 65,504.
 */
export function float16FromFloat32(
  values: Float32Array,
  name: string,
  next = 'Keep the weights in float32.',
): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(values.length);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < halves.length; i++) {
    const magnitude = bits[i]! & 0x7fffffff;
    // From here on, rounding gives 2^16, which float16 does not have.
    if (magnitude >= 0x477ff000) {
      throw new UserError(
        `${name} holds ${values[i]} (value ${i + 1} of ${values.length}), but float16 ends at 65504.`,
        next,
      );
    }
    halves[i] = ((bits[i]! >>> 16) & 0x8000) | halfMagnitude(magnitude);
  }
  return halves;
}

/** The float16 bits of a float32 below 65,520, given by its bits without the sign. */
function halfMagnitude(bits: number): number {
  // Normal from 2^-14: 13 bits of the fraction are dropped and the exponent's bias shrinks by 112. A carry reaches the exponent.
  if (bits >= 0x38800000) return roundedShift(bits, 13) - (112 << 10);
  // Subnormal: the fraction with its leading 1, in units of 2^-24. Below 2^-25, half a unit, all are 0.
  if (bits <= 0x33000000) return 0;
  return roundedShift((bits & 0x7fffff) | 0x800000, 126 - (bits >>> 23));
}

/** bits / 2^shift, rounded to the nearest whole number, ties to even. */
function roundedShift(bits: number, shift: number): number {
  const half = 1 << (shift - 1);
  const odd = (bits >>> shift) & 1;
  return (bits + half - 1 + odd) >>> shift;
}
