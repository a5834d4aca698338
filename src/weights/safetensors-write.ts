import { writeFileAtomic } from '../support/files.js';
import { bytesPerElement, elementTypes } from './dtypes.js';
import { LENGTH_SIZE, METADATA_KEY } from './safetensors.js';
import { byteLength, valuesOf, type WritableTensor } from './tensor.js';

/**
 * Writes a safetensors file atomically. The header keeps the given order. The values are sorted by falling element size, so that
 * those of each tensor begin at a multiple of its element size.
 * @throws UserError if the folder cannot be written or the disk is full.
 */
export async function writeSafetensors(
  file: string,
  tensors: readonly WritableTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const placed = [...tensors].sort((a, b) => bytesPerElement[b.dtype] - bytesPerElement[a.dtype]);
  const offsets = new Map<string, readonly [number, number]>();
  let position = 0;
  for (const tensor of placed) {
    if (tensor.name === METADATA_KEY || offsets.has(tensor.name))
      throw new Error(`There are two tensors ${tensor.name}.`);
    offsets.set(tensor.name, [position, position + byteLength(tensor)]);
    position += byteLength(tensor);
  }
  const entries = tensors.map(({ name, dtype, shape }) => {
    return [name, { dtype: elementTypes[dtype].code, shape, data_offsets: offsets.get(name) }] as const;
  });
  const header = Object.fromEntries([...(Object.keys(metadata).length ? [[METADATA_KEY, metadata]] : []), ...entries]);

  async function* content(): AsyncGenerator<Uint8Array> {
    yield headerBytes(JSON.stringify(header));
    for (const tensor of placed) yield await valuesOf(tensor);
  }
  await writeFileAtomic(file, content());
}

/** The length and the header, padded with spaces so that the values begin at a multiple of 8. */
function headerBytes(json: string): Uint8Array {
  const text = Buffer.from(json, 'utf8');
  const length = Math.ceil(text.length / 8) * 8;
  const bytes = Buffer.alloc(LENGTH_SIZE + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length), 0);
  text.copy(bytes, LENGTH_SIZE);
  return bytes;
}
