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
