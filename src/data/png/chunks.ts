import { crc32 } from '../../support/crc32.js';

/** PNG's container: a signature, then chunks of length, type, data and CRC (PNG specification, third edition, chapter 5). */

export const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Length of the signature and of the chunk IHDR, which comes first: 12 bytes around 13 of data. */
export const HEADER_BYTES = SIGNATURE.length + 12 + 13;

export const COLOUR_TYPE = { grey: 0, rgb: 2, palette: 3, greyAlpha: 4, rgba: 6 } as const;

/** A file that is no PNG, a damaged one, or one of a kind that is not read here. */
export class PngError extends Error {
  override readonly name = 'PngError';
}

export interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

/**
 * The chunks of a PNG up to IEND; what follows it is not looked at.
 * @throws PngError where the signature is missing or the file ends early.
 */
export function* readChunks(bytes: Buffer): Generator<Chunk, undefined> {
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new PngError('not a PNG');
  for (let at = SIGNATURE.length; ; ) {
    if (at + 12 > bytes.length) throw new PngError('truncated');
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (at + 12 + length > bytes.length) throw new PngError('truncated');
    yield { type, data: bytes.subarray(at + 8, at + 8 + length) };
    if (type === 'IEND') return undefined;
    at += 12 + length;
  }
}

/** One chunk, ready to be written. */
export function writeChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.allocUnsafe(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, data.length + 8)), data.length + 8);
  return chunk;
}
