import { inflateSync } from 'node:zlib';
import type { LabelMap, Size } from '../image.js';
import { COLOUR_TYPE, HEADER_BYTES, PngError, readChunks } from './chunks.js';

interface Header {
  readonly width: number;
  readonly height: number;
  readonly bitDepth: number;
}

function parseHeader(data: Buffer): Header {
  if (data.length !== 13) throw new PngError('damaged header');
  const width = data.readUInt32BE(0);
  const height = data.readUInt32BE(4);
  const bitDepth = data[8]!;
  const colourType = data[9]!;
  const interlace = data[12]!;
  if (width === 0 || height === 0) throw new PngError('an empty image');
  if (width * height > MOST_PIXELS) throw new PngError(`${width}×${height} pixels, more than any label map has`);
  const palette = colourType === COLOUR_TYPE.palette && [1, 2, 4, 8].includes(bitDepth);
  const grey = colourType === COLOUR_TYPE.grey && bitDepth === 8;
  if (!palette && !grey) {
    const kind = ['grey', '', 'RGB', 'palette', 'grey and alpha', '', 'RGBA'][colourType] || 'unknown colour type';
    throw new PngError(`${bitDepth}-bit ${kind}, expected 8-bit grey or a palette`);
  }
  if (interlace !== 0) throw new PngError('interlaced, expected a PNG without interlacing');
  return { width, height, bitDepth };
}

/** As many as sharp takes of an image: 16383². */
const MOST_PIXELS = 0x3fff ** 2;

/** Deflate makes at most 258 bytes of two bits (RFC 1951): what a header claims beyond that is not there. */
const LARGEST_EXPANSION = 1032;

/** PNG's predictor of the pixel from left (a), above (b) and above left (c). */
function paeth(a: number, b: number, c: number): number {
  const toLeft = Math.abs(b - c);
  const toAbove = Math.abs(a - c);
  const toDiagonal = Math.abs(a + b - 2 * c);
  if (toLeft <= toAbove && toLeft <= toDiagonal) return a;
  return toAbove <= toDiagonal ? b : c;
}

/** Undoes the filters of rows of one byte a pixel (or less), each led by its filter's number: in place. */
function unfilter(rows: Uint8Array, height: number, rowBytes: number): void {
  const stride = rowBytes + 1;
  for (let y = 0; y < height; y++) {
    const start = y * stride + 1;
    const end = start + rowBytes;
    // Outside the image every neighbour is 0.
    const above = (i: number) => (y === 0 ? 0 : rows[i - stride]!);
    switch (rows[start - 1]) {
      case 0:
        break;
      case 1:
        for (let i = start + 1; i < end; i++) rows[i] = rows[i]! + rows[i - 1]!;
        break;
      case 2:
        if (y > 0) for (let i = start; i < end; i++) rows[i] = rows[i]! + rows[i - stride]!;
        break;
      case 3:
        rows[start] = rows[start]! + (above(start) >> 1);
        for (let i = start + 1; i < end; i++) rows[i] = rows[i]! + ((rows[i - 1]! + above(i)) >> 1);
        break;
      case 4:
        rows[start] = rows[start]! + above(start);
        for (let i = start + 1; i < end; i++) rows[i] = rows[i]! + paeth(rows[i - 1]!, above(i), above(i - 1));
        break;
      default:
        throw new PngError('damaged pixel data (unknown filter)');
    }
  }
}

/**
 * Size of a label PNG, of which the first `HEADER_BYTES` are enough.
 * @throws PngError where these are no header, or that of neither 8-bit grey nor a palette image.
 */
export function readIndicesSize(bytes: Buffer): Size {
  const { value: first } = readChunks(bytes.subarray(0, HEADER_BYTES)).next();
  if (first?.type !== 'IHDR') throw new PngError('no header');
  const { height, width } = parseHeader(first.data);
  return { height, width };
}

/**
 * The raw values of a label PNG: grey values, or palette *indices*, whatever the palette's colours are.
 * @throws PngError where it is damaged or truncated, or neither 8-bit grey nor a palette image.
 */
export function readIndices(bytes: Buffer): LabelMap {
  let header: Header | undefined;
  const compressed: Buffer[] = [];
  for (const { type, data } of readChunks(bytes)) {
    if (type === 'IHDR') header = parseHeader(data);
    else if (type === 'IDAT') compressed.push(data);
  }
  if (!header) throw new PngError('no header');
  const { width, height, bitDepth } = header;
  const rowBytes = Math.ceil((width * bitDepth) / 8);
  const expected = height * (rowBytes + 1);
  const present = compressed.reduce((sum, { length }) => sum + length, 0);
  if (expected > present * LARGEST_EXPANSION) throw new PngError('too little pixel data');
  let rows: Buffer;
  try {
    rows = inflateSync(Buffer.concat(compressed), { maxOutputLength: expected });
  } catch (error) {
    throw new PngError(`damaged pixel data (${(error as Error).message})`, { cause: error });
  }
  if (rows.length !== expected) throw new PngError('too little pixel data');
  unfilter(rows, height, rowBytes);

  const values = new Uint8Array(height * width);
  if (bitDepth === 8) {
    for (let y = 0; y < height; y++) {
      const start = y * (rowBytes + 1) + 1;
      values.set(rows.subarray(start, start + width), y * width);
    }
  } else {
    const mask = (1 << bitDepth) - 1;
    for (let y = 0, out = 0; y < height; y++) {
      const start = y * (rowBytes + 1) + 1;
      for (let x = 0; x < width; x++) {
        const bit = x * bitDepth;
        // The leftmost pixel is in the highest bits.
        values[out++] = (rows[start + (bit >> 3)]! >> (8 - bitDepth - (bit & 7))) & mask;
      }
    }
  }
  return { height, width, data: values };
}
