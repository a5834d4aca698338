import { bytesPerElement, type StoredDtype } from './dtype.js';
import { elementCount } from './tensor.js';

/** A tensor to write; a `StoredTensor` is one. */
export interface WritableTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /**
   * The values, row-major, little-endian; asked for when their turn comes, so that one tensor is in memory at a time. Valid until
   * the next one's are asked for.
   */
  bytes(): Uint8Array | Promise<Uint8Array>;
}

/** What a tensor's values take. */
export function byteLength({ shape, dtype }: WritableTensor): number {
  return elementCount(shape) * bytesPerElement[dtype];
}

/** A tensor's values, of exactly the length that its shape asks for. */
export async function valuesOf(tensor: WritableTensor): Promise<Uint8Array> {
  const bytes = await tensor.bytes();
  if (bytes.length === byteLength(tensor)) return bytes;
  throw new Error(`${tensor.name} has ${bytes.length} bytes, its shape asks for ${byteLength(tensor)}.`);
}
