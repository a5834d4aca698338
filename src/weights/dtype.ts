/** Bytes per element of every element type that can be stored. */
export const bytesPerElement = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
} as const;
export type StoredDtype = keyof typeof bytesPerElement;
