import { BmpError, type BmpHeader, COMPRESSION, parseHeader, requireBytes } from './bmp-header.js';
import type { RgbImage } from './image.js';

/**
 * The pixels of bitmaps, as OpenCV 5 reads them: it drops alpha, shifts colours of 5 and 6 bits to the top without stretching
 * them, and gives pixels that run-length codes skip the palette's first colour.
 */

/** A run-length code of two bytes makes at most 255 pixels. Skipped rows make more, but no real file is nearly empty. */
const MAX_PIXELS_PER_BYTE = 1024;

/** RGB of every index, [256, 3]; black if the file has no colour for it. */
function readPalette(bytes: Buffer, { palette: { at, entries, bytes: step } }: BmpHeader): Uint8Array {
  requireBytes(bytes, at + entries * step);
  const palette = new Uint8Array(256 * 3);
  for (let i = 0; i < entries; i++) {
    for (let channel = 0; channel < 3; channel++) palette[3 * i + channel] = bytes[at + i * step + 2 - channel]!;
  }
  return palette;
}

/** Makes eight bits of a masked channel as OpenCV does: scaled in float32, then truncated. */
function channelReader(mask: number): (pixel: number) => number {
  const shift = 31 - Math.clz32(mask & -mask);
  const scale = Math.fround(255 / (mask >>> shift));
  return (pixel) => Math.trunc(Math.fround(((pixel & mask) >>> shift) * scale)) & 255;
}

/** Writes the colour of the pixel at `x` of the row that starts at `row` to `rgb`, at `to`. */
type WritePixel = (row: number, x: number, rgb: Uint8Array, to: number) => void;

function paletteWriter(indices: Uint8Array, bits: 1 | 4 | 8, palette: Uint8Array): WritePixel {
  return (row, x, rgb, to) => {
    const bit = x * bits;
    // The leftmost pixel is in the highest bits.
    const index = (indices[row + (bit >> 3)]! >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
    for (let channel = 0; channel < 3; channel++) rgb[to + channel] = palette[3 * index + channel]!;
  };
}

function pixelWriter(bytes: Buffer, header: BmpHeader): WritePixel {
  const { bits, masks } = header;
  switch (bits) {
    case 1:
    case 4:
    case 8:
      return paletteWriter(bytes, bits, readPalette(bytes, header));
    case 15:
    case 16: {
      const [redShift, greenShift, greenMask] = bits === 15 ? [7, 2, 0xf8] : [8, 3, 0xfc];
      return (row, x, rgb, to) => {
        const pixel = bytes.readUInt16LE(row + 2 * x);
        rgb[to] = (pixel >> redShift) & 0xf8;
        rgb[to + 1] = (pixel >> greenShift) & greenMask;
        rgb[to + 2] = (pixel << 3) & 0xf8;
      };
    }
    case 24:
      return (row, x, rgb, to) => {
        for (let channel = 0; channel < 3; channel++) rgb[to + channel] = bytes[row + 3 * x + 2 - channel]!;
      };
    case 32: {
      const channels = [masks.red, masks.green, masks.blue].map(channelReader);
      return (row, x, rgb, to) => {
        const pixel = bytes.readUInt32LE(row + 4 * x);
        for (let channel = 0; channel < 3; channel++) rgb[to + channel] = channels[channel]!(pixel);
      };
    }
  }
}

/** RGB, [height, width, 3], of rows that start at `offset` and are `rowBytes` long. */
function toRgb(
  { height, width, isTopDown }: BmpHeader,
  offset: number,
  rowBytes: number,
  write: WritePixel,
): Uint8Array {
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const row = offset + (isTopDown ? y : height - 1 - y) * rowBytes;
    for (let x = 0; x < width; x++) write(row, x, rgb, (y * width + x) * 3);
  }
  return rgb;
}

/** Uncompressed rows. Each one, the last too, is padded to a multiple of four bytes. */
function readRows(bytes: Buffer, header: BmpHeader): Uint8Array {
  const { height, width, offset, bits } = header;
  const rowBytes = Math.ceil((width * (bits === 15 ? 16 : bits)) / 32) * 4;
  requireBytes(bytes, offset + rowBytes * height);
  return toRgb(header, offset, rowBytes, pixelWriter(bytes, header));
}

/** The bytes of run-length codes, one after the other. */
class Codes {
  constructor(
    private readonly bytes: Buffer,
    private at: number,
  ) {}

  next(): number {
    requireBytes(this.bytes, this.at + 1);
    return this.bytes[this.at++]!;
  }

  take(count: number): Buffer {
    requireBytes(this.bytes, this.at + count);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
}

/** Palette indices, [height, width], in the order of the file's rows; 0 for skipped pixels. */
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

  /** Sets the next pixels of this row. @throws BmpError if the row has no room for them. */
  put(count: number, index: (i: number) => number): void {
    if (this.x + count > this.width) throw new BmpError('damaged run-length codes (a run that is longer than its row)');
    const start = this.y * this.width + this.x;
    for (let i = 0; i < count; i++) this.indices[start + i] = index(i);
    this.x += count;
  }

  /** Skips pixels, across rows. At the end of a row this moves to the next one, even if `count` is 0. */
  skip(count: number): void {
    const at = this.x + count;
    this.y += Math.floor(at / this.width);
    this.x = at % this.width;
  }
}

/** The second byte of a code whose first byte is 0; larger values are a number of literal pixels. */
const ESCAPE = { endOfRow: 0, endOfImage: 1, delta: 2 } as const;

/** Codes of four bits a pixel. Like OpenCV, this ignores the end of the image and the rows of a delta. */
function readRle4(codes: Codes, canvas: RunCanvas, width: number): void {
  while (!canvas.isFull) {
    const length = codes.next();
    const code = codes.next();
    if (length > 0) canvas.put(length, (i) => (i % 2 === 0 ? code >> 4 : code & 15));
    else if (code > ESCAPE.delta) {
      // Two pixels a byte, padded to an even number of bytes.
      const pixels = codes.take((((code + 1) >> 1) + 1) & ~1);
      canvas.put(code, (i) => (i % 2 === 0 ? pixels[i >> 1]! >> 4 : pixels[i >> 1]! & 15));
    } else if (code === ESCAPE.delta) {
      const right = codes.next();
      codes.next();
      canvas.skip(right);
    } else canvas.skip(width - canvas.x);
  }
}

/** Codes of eight bits a pixel. A run that fills its row moves to the next one, and the end of the row that follows is ignored. */
function readRle8(codes: Codes, canvas: RunCanvas, height: number, width: number): void {
  let filledRow = false;
  while (!canvas.isFull) {
    const length = codes.next();
    const code = codes.next();
    if (length > 0) {
      const { y } = canvas;
      canvas.put(length, () => code);
      canvas.skip(0);
      filledRow = canvas.y > y;
    } else if (code > ESCAPE.delta) {
      const pixels = codes.take((code + 1) & ~1);
      canvas.put(code, (i) => pixels[i]!);
      filledRow = false;
    } else {
      const isRedundant = code === ESCAPE.endOfRow && filledRow && canvas.x === 0;
      filledRow = false;
      if (isRedundant) continue;
      if (code === ESCAPE.delta) canvas.skip(codes.next() + codes.next() * width);
      else canvas.skip(width - canvas.x + (code === ESCAPE.endOfImage ? (height - canvas.y) * width : 0));
    }
  }
}

function readRuns(bytes: Buffer, header: BmpHeader): Uint8Array {
  const { height, width, offset, compression } = header;
  if (height * width > bytes.length * MAX_PIXELS_PER_BYTE) throw new BmpError('too little pixel data');
  const palette = readPalette(bytes, header);
  const canvas = new RunCanvas(height, width);
  const codes = new Codes(bytes, offset);
  if (compression === COMPRESSION.rle4) readRle4(codes, canvas, width);
  else readRle8(codes, canvas, height, width);
  return toRgb(header, 0, width, paletteWriter(canvas.indices, 8, palette));
}

/**
 * Decodes a bitmap to RGB bytes exactly as OpenCV's `imread` does.
 * @throws BmpError if it is damaged, truncated, or of a kind that OpenCV does not read.
 */
export function decodeBmp(bytes: Buffer): RgbImage {
  const header = parseHeader(bytes);
  const { height, width, compression } = header;
  const isRunLength = compression === COMPRESSION.rle8 || compression === COMPRESSION.rle4;
  return { height, width, data: isRunLength ? readRuns(bytes, header) : readRows(bytes, header) };
}
