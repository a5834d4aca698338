import type { RgbImage, Size } from './image.js';

/**
 * Windows and OS/2 bitmaps, read as OpenCV 5 reads them: alpha dropped, colours of 5 and 6 bits shifted to the top and not
 * stretched, pixels that run-length codes leave out in the palette's first colour. What it refuses is refused here.
 */

/** A file that is no bitmap, a damaged one, or one of a kind that is not read. */
export class BmpError extends Error {
  override readonly name = 'BmpError';
}

/** Bytes at the beginning of a file that are enough for `readBmpSize`: the longest header has 124, after 14 of the file's. */
export const BMP_HEADER_BYTES = 256;

const COMPRESSION = { none: 0, rle8: 1, rle4: 2, masks: 3 } as const;

const COMPRESSION_NAMES: Readonly<Record<number, string>> = {
  4: 'JPEG or 24-bit run-length',
  5: 'PNG',
  6: 'alpha masks',
};

/** As many as sharp takes of an image: 16383². */
const MOST_PIXELS = 0x3fff ** 2;

/** A code of two bytes stands for at most 255 pixels; skipped rows make more, but no real file is nearly empty. */
const MOST_PIXELS_A_BYTE = 1024;

/** Bit masks of a pixel of 32 bits. */
interface Masks {
  readonly red: number;
  readonly green: number;
  readonly blue: number;
}

const USUAL_MASKS: Masks = { red: 0xff0000, green: 0xff00, blue: 0xff };

interface Header extends Size {
  readonly isTopDown: boolean;
  /** Where the pixels begin. */
  readonly offset: number;
  readonly compression: number;
  /** Bits of a pixel in the file; 15 for 5 bits a channel in two bytes. */
  readonly bits: 1 | 4 | 8 | 15 | 16 | 24 | 32;
  /** Where the palette begins, its entries, and the bytes of each: blue, green, red, and perhaps one that says nothing. */
  readonly palette: { readonly at: number; readonly entries: number; readonly bytes: 3 | 4 };
  readonly masks: Masks;
}

/** Whether a file begins as a bitmap. */
export function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d;
}

function need(bytes: Buffer, end: number): void {
  if (end > bytes.length) throw new BmpError('truncated');
}

function checkSize({ height, width }: Size): void {
  if (width <= 0 || height <= 0) throw new BmpError('an empty image');
  if (width * height > MOST_PIXELS) throw new BmpError(`${width}×${height} pixels, more than any image here has`);
}

/** The header of OS/2 1.x: sizes of 16 bits, and a palette of three bytes an entry. */
function parseCore(bytes: Buffer): Header {
  need(bytes, 26);
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
    masks: USUAL_MASKS,
  };
}

/** The kind of a bitmap by its bits a pixel and its compression; the masks lie after a header, or within a longer one. */
function kindOf(bytes: Buffer, bits: number, compression: number, afterHeader: number): Pick<Header, 'bits' | 'masks'> {
  const { none, rle8, rle4, masks: byMasks } = COMPRESSION;
  const plain = { masks: USUAL_MASKS };
  const maskAt = (at: number) => {
    need(bytes, at + 12);
    const [red, green, blue] = [0, 4, 8].map((i) => bytes.readUInt32LE(at + i)) as [number, number, number];
    return { red, green, blue };
  };
  if (compression === none) {
    if (bits === 1 || bits === 4 || bits === 8 || bits === 24 || bits === 32) return { bits, ...plain };
    if (bits === 16) return { bits: 15, ...plain };
  }
  if ((compression === rle8 && bits === 8) || (compression === rle4 && bits === 4)) return { bits, ...plain };
  if (compression === byMasks && bits === 16) {
    // OpenCV looks for these after the header only, where headers of later versions do not have them.
    const { red, green, blue } = maskAt(afterHeader);
    if (red === 0x7c00 && green === 0x3e0 && blue === 0x1f) return { bits: 15, ...plain };
    if (red === 0xf800 && green === 0x7e0 && blue === 0x1f) return { bits: 16, ...plain };
    throw new BmpError('a bitmap of 16 bits a pixel with masks that OpenCV does not read');
  }
  if (compression === byMasks && bits === 32) {
    // OpenCV looks for these in a header only that has room for a fourth one, of alpha.
    const masks = afterHeader >= FIELDS_END + 16 ? maskAt(FIELDS_END) : USUAL_MASKS;
    const all = masks.red !== 0 && masks.green !== 0 && masks.blue !== 0;
    return { bits, masks: all ? masks : USUAL_MASKS };
  }
  const packed = compression === none ? '' : ` and compression ${compression}`;
  const name = COMPRESSION_NAMES[compression];
  throw new BmpError(`a bitmap of ${bits} bits a pixel${packed}${name === undefined ? '' : ` (${name})`}`);
}

/** Where the fields end that every header but OS/2's has: in longer ones, masks come next. */
const FIELDS_END = 14 + 40;

function parseHeader(bytes: Buffer): Header {
  if (!isBmp(bytes)) throw new BmpError('not a bitmap');
  need(bytes, 18);
  const headerBytes = bytes.readUInt32LE(14);
  if (headerBytes === 12) return parseCore(bytes);
  if (headerBytes < 40) throw new BmpError(`a bitmap with a header of ${headerBytes} bytes`);
  need(bytes, FIELDS_END);
  const width = bytes.readInt32LE(18);
  const height = bytes.readInt32LE(22);
  checkSize({ height: Math.abs(height), width });
  const compression = bytes.readUInt32LE(30);
  const entries = bytes.readUInt32LE(46);
  const afterHeader = 14 + headerBytes;
  const kind = kindOf(bytes, bytes.readUInt16LE(28), compression, afterHeader);
  if (kind.bits <= 8 && entries > 256) throw new BmpError(`a palette of ${entries} colours`);
  return {
    ...kind,
    height: Math.abs(height),
    width,
    isTopDown: height < 0,
    offset: bytes.readUInt32LE(10),
    compression,
    palette: { at: afterHeader, entries: kind.bits > 8 ? 0 : entries === 0 ? 1 << kind.bits : entries, bytes: 4 },
  };
}

/**
 * Size of a bitmap, of which the first `BMP_HEADER_BYTES` are enough.
 * @throws BmpError where it is none, or of a kind that is not read.
 */
export function readBmpSize(bytes: Buffer): Size {
  const { height, width } = parseHeader(bytes);
  return { height, width };
}

/** RGB of every index, [256, 3]; black where the file has no colour. */
function readPalette(bytes: Buffer, { palette: { at, entries, bytes: step } }: Header): Uint8Array {
  need(bytes, at + entries * step);
  const palette = new Uint8Array(256 * 3);
  for (let i = 0; i < entries; i++) {
    for (let channel = 0; channel < 3; channel++) palette[3 * i + channel] = bytes[at + i * step + 2 - channel]!;
  }
  return palette;
}

/** How a channel's bits become eight: in 32-bit arithmetic of floats, cut off, as in OpenCV. */
function channelOf(mask: number): (pixel: number) => number {
  const shift = 31 - Math.clz32(mask & -mask);
  const scale = Math.fround(255 / (mask >>> shift));
  return (pixel) => Math.trunc(Math.fround(((pixel & mask) >>> shift) * scale)) & 255;
}

/** The colour of the pixel at `x` of a row that begins at `row`, written to `rgb` at `to`. */
type WritePixel = (row: number, x: number, rgb: Uint8Array, to: number) => void;

function pixelWriter(bytes: Buffer, header: Header): WritePixel {
  const { bits } = header;
  switch (bits) {
    case 1:
    case 4:
    case 8: {
      const palette = readPalette(bytes, header);
      return (row, x, rgb, to) => {
        const bit = x * bits;
        // The leftmost pixel is in the highest bits.
        const index = (bytes[row + (bit >> 3)]! >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
        for (let channel = 0; channel < 3; channel++) rgb[to + channel] = palette[3 * index + channel]!;
      };
    }
    case 15:
      return (row, x, rgb, to) => {
        const pixel = bytes.readUInt16LE(row + 2 * x);
        rgb[to] = (pixel >> 7) & 0xf8;
        rgb[to + 1] = (pixel >> 2) & 0xf8;
        rgb[to + 2] = (pixel << 3) & 0xf8;
      };
    case 16:
      return (row, x, rgb, to) => {
        const pixel = bytes.readUInt16LE(row + 2 * x);
        rgb[to] = (pixel >> 8) & 0xf8;
        rgb[to + 1] = (pixel >> 3) & 0xfc;
        rgb[to + 2] = (pixel << 3) & 0xf8;
      };
    case 24:
      return (row, x, rgb, to) => {
        for (let channel = 0; channel < 3; channel++) rgb[to + channel] = bytes[row + 3 * x + 2 - channel]!;
      };
    case 32: {
      const channels = [header.masks.red, header.masks.green, header.masks.blue].map(channelOf);
      return (row, x, rgb, to) => {
        const pixel = bytes.readUInt32LE(row + 4 * x);
        for (let channel = 0; channel < 3; channel++) rgb[to + channel] = channels[channel]!(pixel);
      };
    }
  }
}

/** Rows of pixels as they are; each is filled up to a multiple of four bytes, the last one, too. */
function readPlain(bytes: Buffer, header: Header): Uint8Array {
  const { height, width, offset, isTopDown, bits } = header;
  const rowBytes = Math.ceil((width * (bits === 15 ? 16 : bits)) / 32) * 4;
  need(bytes, offset + rowBytes * height);
  const write = pixelWriter(bytes, header);
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const row = offset + (isTopDown ? y : height - 1 - y) * rowBytes;
    for (let x = 0; x < width; x++) write(row, x, rgb, (y * width + x) * 3);
  }
  return rgb;
}

/** The bytes of run-length codes, one after the other. */
class Codes {
  constructor(
    private readonly bytes: Buffer,
    private at: number,
  ) {}

  next(): number {
    need(this.bytes, this.at + 1);
    return this.bytes[this.at++]!;
  }

  take(count: number): Buffer {
    need(this.bytes, this.at + count);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
}

/** Palette indices, [height, width], in the order of the file's rows; those that are left out are 0. */
class RunCanvas {
  readonly indices: Uint8Array;
  x = 0;
  y = 0;

  constructor(
    private readonly height: number,
    private readonly width: number,
  ) {
    this.indices = new Uint8Array(height * width);
  }

  get isFull(): boolean {
    return this.y >= this.height;
  }

  /** Sets pixels of this row. @throws BmpError where it has no room for them. */
  put(count: number, index: (i: number) => number): void {
    if (this.x + count > this.width) throw new BmpError('damaged run-length codes (a run that is longer than its row)');
    const start = this.y * this.width + this.x;
    for (let i = 0; i < count; i++) this.indices[start + i] = index(i);
    this.x += count;
  }

  /** Passes over pixels, from row to row; at the end of a row the next one begins, also where none is passed over. */
  skip(count: number): void {
    const at = this.x + count;
    this.y += Math.floor(at / this.width);
    this.x = at % this.width;
  }
}

/** What leads a code that is no run: the end of a row, that of the image, or pixels to pass over. */
const ESCAPE = { endOfRow: 0, endOfImage: 1, delta: 2 } as const;

/** Codes of four bits a pixel. OpenCV ends no image early, and passes over pixels of a row only; so does this. */
function readRle4(codes: Codes, canvas: RunCanvas, width: number): void {
  while (!canvas.isFull) {
    const length = codes.next();
    const code = codes.next();
    if (length > 0) canvas.put(length, (i) => (i % 2 === 0 ? code >> 4 : code & 15));
    else if (code > ESCAPE.delta) {
      // The first bytes of the pixels, two in each, filled up to an even number of bytes.
      const pixels = codes.take((((code + 1) >> 1) + 1) & ~1);
      canvas.put(code, (i) => (i % 2 === 0 ? pixels[i >> 1]! >> 4 : pixels[i >> 1]! & 15));
    } else if (code === ESCAPE.delta) {
      const right = codes.next();
      codes.next();
      canvas.skip(right);
    } else canvas.skip(width - canvas.x);
  }
}

/** Codes of eight bits a pixel. A run that ends with its row begins the next one: the end of the row is then said twice. */
function readRle8(codes: Codes, canvas: RunCanvas, height: number, width: number): void {
  let isRowBegun = false;
  while (!canvas.isFull) {
    const length = codes.next();
    const code = codes.next();
    if (length > 0) {
      const { y } = canvas;
      canvas.put(length, () => code);
      canvas.skip(0);
      isRowBegun = canvas.y > y;
    } else if (code > ESCAPE.delta) {
      const pixels = codes.take((code + 1) & ~1);
      canvas.put(code, (i) => pixels[i]!);
      isRowBegun = false;
    } else {
      const isSaid = code === ESCAPE.endOfRow && isRowBegun && canvas.x === 0;
      isRowBegun = false;
      if (isSaid) continue;
      if (code === ESCAPE.delta) canvas.skip(codes.next() + codes.next() * width);
      else canvas.skip(width - canvas.x + (code === ESCAPE.endOfImage ? (height - canvas.y) * width : 0));
    }
  }
}

function readRuns(bytes: Buffer, header: Header): Uint8Array {
  const { height, width, offset, isTopDown, compression } = header;
  if (height * width > bytes.length * MOST_PIXELS_A_BYTE) throw new BmpError('too little pixel data');
  const palette = readPalette(bytes, header);
  const canvas = new RunCanvas(height, width);
  const codes = new Codes(bytes, offset);
  if (compression === COMPRESSION.rle4) readRle4(codes, canvas, width);
  else readRle8(codes, canvas, height, width);
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const row = (isTopDown ? y : height - 1 - y) * width;
    for (let x = 0; x < width; x++) {
      const from = 3 * canvas.indices[row + x]!;
      for (let channel = 0; channel < 3; channel++) rgb[3 * (y * width + x) + channel] = palette[from + channel]!;
    }
  }
  return rgb;
}

/**
 * Decodes a bitmap to RGB bytes exactly as OpenCV's `imread` does.
 * @throws BmpError where it is damaged, truncated, or of a kind that OpenCV does not read.
 */
export function decodeBmp(bytes: Buffer): RgbImage {
  const header = parseHeader(bytes);
  const { height, width, compression } = header;
  const isPacked = compression === COMPRESSION.rle8 || compression === COMPRESSION.rle4;
  return { height, width, data: isPacked ? readRuns(bytes, header) : readPlain(bytes, header) };
}
