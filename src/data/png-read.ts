import { inflateSync } from 'node:zlib';
import { type LabelMap, MAX_PIXELS, type Palette, type RgbImage, type Size } from './image.js';
import { COLOUR_TYPE, SIGNATURE_BYTES } from './png-encode.js';

export const SIGNATURE = Buffer.from(SIGNATURE_BYTES);

/** Length of the signature and of the first chunk, IHDR: 12 bytes around 13 of data. */
export const PNG_HEADER_BYTES = SIGNATURE.length + 12 + 13;

/** The file is not a PNG, is damaged, or is of a kind that is not read. */
export class PngError extends Error {
  override readonly name = 'PngError';
}

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
  /** Where it begins in the file, with its length. */
  readonly at: number;
}

export const isPng = (bytes: Buffer): boolean => bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE);

/**
 * The chunks of a PNG up to IEND. Ignores what follows.
 * @throws PngError if the signature is missing or the file ends early.
 */
export function* readChunks(bytes: Buffer): Generator<Chunk, undefined> {
  if (!isPng(bytes)) throw new PngError('not a PNG');
  for (let at = SIGNATURE.length; ; ) {
    if (at + 12 > bytes.length) throw new PngError('truncated');
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (at + 12 + length > bytes.length) throw new PngError('truncated');
    yield { type, data: bytes.subarray(at + 8, at + 8 + length), at };
    if (type === 'IEND') return undefined;
    at += 12 + length;
  }
}

interface Header extends Size {
  readonly colourType: number;
  readonly bitDepth: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly isInterlaced: boolean;
}

interface Kind extends Pick<Header, 'channels'> {
  readonly name: string;
  readonly depths: readonly number[];
}

const KINDS: Readonly<Record<number, Kind>> = {
  [COLOUR_TYPE.grey]: { name: 'grey', channels: 1, depths: [1, 2, 4, 8] },
  [COLOUR_TYPE.rgb]: { name: 'RGB', channels: 3, depths: [8] },
  [COLOUR_TYPE.palette]: { name: 'palette', channels: 1, depths: [1, 2, 4, 8] },
  [COLOUR_TYPE.greyAlpha]: { name: 'grey and alpha', channels: 2, depths: [8] },
  [COLOUR_TYPE.rgba]: { name: 'RGBA', channels: 4, depths: [8] },
};

/** @throws PngError if it is damaged, or of an image of more than 8 bits a channel. */
export function parsePngHeader(data: Buffer): Header {
  if (data.length !== 13) throw new PngError('damaged header');
  const width = data.readUInt32BE(0);
  const height = data.readUInt32BE(4);
  const bitDepth = data[8]!;
  const kind = KINDS[data[9]!];
  const interlace = data[12]!;
  if (width === 0 || height === 0) throw new PngError('an empty image');
  if (width * height > MAX_PIXELS) throw new PngError(`${width}×${height} pixels, expected at most ${MAX_PIXELS}`);
  if (!kind?.depths.includes(bitDepth)) {
    throw new PngError(`${bitDepth}-bit ${kind?.name ?? 'unknown colour type'}, expected at most 8 bits a channel`);
  }
  if (interlace > 1) throw new PngError('unknown interlacing');
  return { width, height, colourType: data[9]!, bitDepth, channels: kind.channels, isInterlaced: interlace === 1 };
}

/** Deflate makes at most 258 bytes of two bits (RFC 1951). A header that claims more than that is wrong. */
export const MAX_EXPANSION = 1032;

/** PNG's prediction of a byte from those on the left (a), above (b) and above left (c). */
function paeth(a: number, b: number, c: number): number {
  const toLeft = Math.abs(b - c);
  const toAbove = Math.abs(a - c);
  const toDiagonal = Math.abs(a + b - 2 * c);
  if (toLeft <= toAbove && toLeft <= toDiagonal) return a;
  return toAbove <= toDiagonal ? b : c;
}

/**
 * Undoes the filters of rows in place, from the row at `first` on. Each row starts with the number of its filter.
 * @param step Bytes of a pixel, at least one.
 */
function unfilter(rows: Uint8Array, first: number, height: number, rowBytes: number, step: number): void {
  const stride = rowBytes + 1;
  for (let y = 0; y < height; y++) {
    const start = first + y * stride + 1;
    const end = start + rowBytes;
    const second = Math.min(start + step, end);
    // Outside the image every neighbour is 0.
    const above = (i: number) => (y === 0 ? 0 : rows[i - stride]!);
    switch (rows[start - 1]) {
      case 0:
        break;
      case 1:
        for (let i = second; i < end; i++) rows[i] = rows[i]! + rows[i - step]!;
        break;
      case 2:
        if (y > 0) for (let i = start; i < end; i++) rows[i] = rows[i]! + rows[i - stride]!;
        break;
      case 3:
        for (let i = start; i < second; i++) rows[i] = rows[i]! + (above(i) >> 1);
        for (let i = second; i < end; i++) rows[i] = rows[i]! + ((rows[i - step]! + above(i)) >> 1);
        break;
      case 4:
        for (let i = start; i < second; i++) rows[i] = rows[i]! + above(i);
        for (let i = second; i < end; i++) rows[i] = rows[i]! + paeth(rows[i - step]!, above(i), above(i - step));
        break;
      default:
        throw new PngError('damaged pixel data (unknown filter)');
    }
  }
}

/** Pixels that are stored together: those at `left`, `left + stepX`, … of every `stepY`-th row from `top` on. */
interface Pass extends Size {
  readonly left: number;
  readonly top: number;
  readonly stepX: number;
  readonly stepY: number;
}

/** Adam7: left, top, stepX and stepY of each pass (PNG specification, 8.2). */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

function passesOf({ height, width, isInterlaced }: Header): Pass[] {
  if (!isInterlaced) return [{ left: 0, top: 0, stepX: 1, stepY: 1, height, width }];
  return ADAM7.map(([left, top, stepX, stepY]) => ({
    ...{ left, top, stepX, stepY },
    height: Math.ceil(Math.max(0, height - top) / stepY),
    width: Math.ceil(Math.max(0, width - left) / stepX),
  })).filter((pass) => pass.height > 0 && pass.width > 0);
}

/** Copies the pixels of a pass from its rows, which start at `first`, into samples: [height, width, channels]. */
function placePass(rows: Uint8Array, first: number, pass: Pass, header: Header, samples: Uint8Array): void {
  const { width, bitDepth, channels } = header;
  const stride = rowBytesOf(pass, header) + 1;
  const mask = (1 << bitDepth) - 1;
  for (let y = 0; y < pass.height; y++) {
    const row = first + y * stride + 1;
    let to = ((pass.top + y * pass.stepY) * width + pass.left) * channels;
    if (bitDepth === 8 && pass.stepX === 1) {
      samples.set(rows.subarray(row, row + pass.width * channels), to);
      continue;
    }
    for (let x = 0; x < pass.width; x++, to += pass.stepX * channels) {
      if (bitDepth === 8) {
        for (let channel = 0; channel < channels; channel++)
          samples[to + channel] = rows[row + x * channels + channel]!;
        continue;
      }
      const bit = x * bitDepth;
      // The leftmost pixel is in the highest bits.
      samples[to] = (rows[row + (bit >> 3)]! >> (8 - bitDepth - (bit & 7))) & mask;
    }
  }
}

const rowBytesOf = ({ width }: Size, { bitDepth, channels }: Header) => Math.ceil((width * bitDepth * channels) / 8);

interface Samples {
  readonly header: Header;
  /** The stored values of each pixel, [height, width, channels]. */
  readonly samples: Uint8Array;
  /** The chunk tRNS, if there is one. */
  readonly transparency: Buffer | null;
}

function readSamples(bytes: Buffer): Samples {
  let header: Header | undefined;
  let transparency: Buffer | null = null;
  const compressed: Buffer[] = [];
  for (const { type, data } of readChunks(bytes)) {
    if (type === 'IHDR') header = parsePngHeader(data);
    else if (type === 'IDAT') compressed.push(data);
    else if (type === 'tRNS') transparency = data;
  }
  if (!header) throw new PngError('no header');
  const { height, width, channels } = header;
  const passes = passesOf(header);
  const bytesOf = (pass: Pass) => pass.height * (rowBytesOf(pass, header) + 1);
  const expected = passes.reduce((sum, pass) => sum + bytesOf(pass), 0);
  const present = compressed.reduce((sum, { length }) => sum + length, 0);
  if (expected > present * MAX_EXPANSION) throw new PngError('too little pixel data');
  let rows: Buffer;
  try {
    rows = inflateSync(Buffer.concat(compressed), { maxOutputLength: expected });
  } catch (error) {
    throw new PngError(`damaged pixel data (${(error as Error).message})`, { cause: error });
  }
  if (rows.length !== expected) throw new PngError('too little pixel data');
  const samples = new Uint8Array(height * width * channels);
  let first = 0;
  for (const pass of passes) {
    // With pixels smaller than a byte, filters work on whole bytes.
    unfilter(rows, first, pass.height, rowBytesOf(pass, header), channels);
    placePass(rows, first, pass, header, samples);
    first += bytesOf(pass);
  }
  return { header, samples, transparency };
}

/** What a label PNG holds for each pixel: a value or a colour. */
export type LabelImage =
  | { readonly kind: 'values'; readonly labels: LabelMap }
  | { readonly kind: 'colours'; readonly image: RgbImage };

function readHeader(bytes: Buffer): Header {
  const { value: first } = readChunks(bytes.subarray(0, PNG_HEADER_BYTES)).next();
  if (first?.type !== 'IHDR') throw new PngError('no header');
  return parsePngHeader(first.data);
}

/**
 * Size of a label PNG. Its first `PNG_HEADER_BYTES` are enough.
 * @throws PngError if they are not the header of a label map.
 */
export function readLabelImageSize(bytes: Buffer): Size {
  const { height, width } = readHeader(bytes);
  return { height, width };
}

/** Whether a label PNG holds colours instead of values; otherwise like `readLabelImageSize`. */
export function holdsColours(bytes: Buffer): boolean {
  return readHeader(bytes).channels > 2;
}

/** The colours of a palette PNG, in the order of their indices; empty if it has none. @throws PngError if it is damaged. */
export function readPalette(bytes: Buffer): Palette {
  if (readHeader(bytes).colourType !== COLOUR_TYPE.palette) return [];
  for (const { type, data } of readChunks(bytes)) {
    if (type !== 'PLTE') continue;
    return Array.from({ length: Math.floor(data.length / 3) }, (_, i) => [
      data[3 * i]!,
      data[3 * i + 1]!,
      data[3 * i + 2]!,
    ]);
  }
  return [];
}

function notOpaque(pixel: number, width: number): PngError {
  const at = `column ${pixel % width}, row ${Math.floor(pixel / width)}`;
  return new PngError(`the pixel at ${at} is transparent, expected opaque pixels only`);
}

/**
 * Checks the chunk tRNS, which makes one grey value or colour transparent. In a palette it belongs to the colours, which are not read.
 * @throws PngError if a pixel has that value or colour.
 */
function requireOpaque(samples: Uint8Array, { colourType, channels, bitDepth, width }: Header, chunk: Buffer): void {
  if (colourType === COLOUR_TYPE.palette || chunk.length < 2 * channels) return;
  const mask = (1 << bitDepth) - 1;
  const transparent = Array.from({ length: channels }, (_, channel) => chunk.readUInt16BE(2 * channel) & mask);
  for (let from = 0; from < samples.length; from += channels) {
    if (transparent.every((value, channel) => samples[from + channel] === value))
      throw notOpaque(from / channels, width);
  }
}

/** Removes the last channel, alpha. @throws PngError if a pixel is not opaque. */
function withoutAlpha(samples: Uint8Array, channels: 2 | 4, width: number): Uint8Array {
  const kept = channels - 1;
  const opaque = new Uint8Array((samples.length / channels) * kept);
  for (let pixel = 0; pixel * channels < samples.length; pixel++) {
    const from = pixel * channels;
    if (samples[from + kept] !== 255) throw notOpaque(pixel, width);
    for (let channel = 0; channel < kept; channel++) opaque[pixel * kept + channel] = samples[from + channel]!;
  }
  return opaque;
}

/**
 * Reads a label PNG: grey values as stored (of 1, 2, 4 or 8 bits), palette *indices*, or the colours of an RGB image. The colours
 * and the opacity of a palette are ignored; in other images every pixel must be opaque.
 * @throws PngError if it is damaged or truncated, or has 16 bits a channel.
 */
export function readLabelImage(bytes: Buffer): LabelImage {
  const { header, samples, transparency } = readSamples(bytes);
  const { height, width, channels } = header;
  if (transparency !== null && (channels === 1 || channels === 3)) requireOpaque(samples, header, transparency);
  const data = channels === 2 || channels === 4 ? withoutAlpha(samples, channels, width) : samples;
  return channels > 2
    ? { kind: 'colours', image: { height, width, data } }
    : { kind: 'values', labels: { height, width, data } };
}

/** Like `readLabelImage`, but refuses colours. @throws PngError also if it holds colours. */
export function readIndices(bytes: Buffer): LabelMap {
  const read = readLabelImage(bytes);
  if (read.kind === 'colours') throw new PngError('an image of colours, expected grey values or a palette');
  return read.labels;
}
