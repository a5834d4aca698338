import { MAX_PIXELS, type Size } from './image.js';

/** The headers of Windows and OS/2 bitmaps. Whatever OpenCV 5 refuses is refused. */

/** The file is not a bitmap, is damaged, or is of a kind that is not read. */
export class BmpError extends Error {
  override readonly name = 'BmpError';
}

/** Bytes at the start of a file that `readBmpSize` needs: 14 of the file and at most 124 of the longest header, rounded up. */
export const BMP_HEADER_BYTES = 256;

export const COMPRESSION = { none: 0, rle8: 1, rle4: 2, masks: 3 } as const;

const COMPRESSION_NAMES: Readonly<Record<number, string>> = {
  4: 'JPEG or 24-bit run-length',
  5: 'PNG',
  6: 'alpha masks',
};

/** Bit masks of a pixel of 32 bits. */
interface Masks {
  readonly red: number;
  readonly green: number;
  readonly blue: number;
}

const DEFAULT_MASKS: Masks = { red: 0xff0000, green: 0xff00, blue: 0xff };

export interface BmpHeader extends Size {
  readonly isTopDown: boolean;
  /** Position of the pixels in the file. */
  readonly offset: number;
  readonly compression: number;
  /** Bits of a pixel in the file; 15 means 5 bits a channel in two bytes. */
  readonly bits: 1 | 4 | 8 | 15 | 16 | 24 | 32;
  /** Position of the palette, its entries, and the bytes of each: blue, green, red, and perhaps an unused one. */
  readonly palette: { readonly at: number; readonly entries: number; readonly bytes: 3 | 4 };
  readonly masks: Masks;
}

/** Whether a file starts like a bitmap. */
export function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d;
}

/** @throws BmpError if the file ends before `end`. */
export function requireBytes(bytes: Buffer, end: number): void {
  if (end > bytes.length) throw new BmpError('truncated');
}

function checkSize({ height, width }: Size): void {
  if (width <= 0 || height <= 0) throw new BmpError('an empty image');
  if (width * height > MAX_PIXELS) throw new BmpError(`${width}×${height} pixels, expected at most ${MAX_PIXELS}`);
}

/** The header of OS/2 1.x: sizes of 16 bits, and a palette of three bytes an entry. */
function parseOs2Header(bytes: Buffer): BmpHeader {
  requireBytes(bytes, 26);
  const width = bytes.readUInt16LE(18);
  const height = bytes.readUInt16LE(20);
  const bits = bytes.readUInt16LE(24);
  checkSize({ height, width });
  if (bits !== 1 && bits !== 4 && bits !== 8 && bits !== 24 && bits !== 32) {
    throw new BmpError(`a bitmap of ${bits} bits a pixel with OS/2's header`);
  }
  return {
    height,
    width,
    isTopDown: false,
    offset: bytes.readUInt32LE(10),
    compression: COMPRESSION.none,
    bits,
    palette: { at: 26, entries: bits <= 8 ? 1 << bits : 0, bytes: 3 },
    masks: DEFAULT_MASKS,
  };
}

/** End of the fields that every header except OS/2's has. In longer headers, masks follow. */
const FIELDS_END = 14 + 40;

function readMasks(bytes: Buffer, at: number): Masks {
  requireBytes(bytes, at + 12);
  return { red: bytes.readUInt32LE(at), green: bytes.readUInt32LE(at + 4), blue: bytes.readUInt32LE(at + 8) };
}

/** How pixels are stored, from the bits of a pixel and the compression. */
function pixelFormat(
  bytes: Buffer,
  bits: number,
  compression: number,
  headerEnd: number,
): Pick<BmpHeader, 'bits' | 'masks'> {
  const masks = DEFAULT_MASKS;
  if (compression === COMPRESSION.none) {
    if (bits === 1 || bits === 4 || bits === 8 || bits === 24 || bits === 32) return { bits, masks };
    if (bits === 16) return { bits: 15, masks };
  }
  if (compression === COMPRESSION.rle8 && bits === 8) return { bits, masks };
  if (compression === COMPRESSION.rle4 && bits === 4) return { bits, masks };
  if (compression === COMPRESSION.masks && bits === 16) {
    // OpenCV reads these masks only after the header, although headers of later versions contain them.
    const { red, green, blue } = readMasks(bytes, headerEnd);
    if (red === 0x7c00 && green === 0x3e0 && blue === 0x1f) return { bits: 15, masks };
    if (red === 0xf800 && green === 0x7e0 && blue === 0x1f) return { bits: 16, masks };
    throw new BmpError('a bitmap of 16 bits a pixel with masks that OpenCV does not read');
  }
  if (compression === COMPRESSION.masks && bits === 32) {
    // OpenCV reads these masks only from a header with room for a fourth one, of alpha.
    const found = headerEnd >= FIELDS_END + 16 ? readMasks(bytes, FIELDS_END) : masks;
    return { bits, masks: Object.values(found).includes(0) ? masks : found };
  }
  const packed = compression === COMPRESSION.none ? '' : ` and compression ${compression}`;
  const name = COMPRESSION_NAMES[compression];
  throw new BmpError(`a bitmap of ${bits} bits a pixel${packed}${name === undefined ? '' : ` (${name})`}`);
}

/** @throws BmpError if the file is not a bitmap, is damaged, or is of a kind that is not read. */
export function parseHeader(bytes: Buffer): BmpHeader {
  if (!isBmp(bytes)) throw new BmpError('not a bitmap');
  requireBytes(bytes, 18);
  const headerBytes = bytes.readUInt32LE(14);
  if (headerBytes === 12) return parseOs2Header(bytes);
  if (headerBytes < 40) throw new BmpError(`a bitmap with a header of ${headerBytes} bytes`);
  requireBytes(bytes, FIELDS_END);
  const width = bytes.readInt32LE(18);
  const height = bytes.readInt32LE(22);
  checkSize({ height: Math.abs(height), width });
  const compression = bytes.readUInt32LE(30);
  const entries = bytes.readUInt32LE(46);
  const headerEnd = 14 + headerBytes;
  const format = pixelFormat(bytes, bytes.readUInt16LE(28), compression, headerEnd);
  if (format.bits <= 8 && entries > 256) throw new BmpError(`a palette of ${entries} colours`);
  return {
    ...format,
    height: Math.abs(height),
    width,
    isTopDown: height < 0,
    offset: bytes.readUInt32LE(10),
    compression,
    palette: { at: headerEnd, entries: format.bits > 8 ? 0 : entries === 0 ? 1 << format.bits : entries, bytes: 4 },
  };
}

/** Size of a bitmap. Its first `BMP_HEADER_BYTES` are enough. @throws BmpError like `parseHeader`. */
export function readBmpSize(bytes: Buffer): Size {
  const { height, width } = parseHeader(bytes);
  return { height, width };
}
