import * as zlib from 'node:zlib';
import { crc32 } from '../../support/checksums.js';
import { type Box, type Size, wholeBox } from '../image.js';
import { COLOUR_TYPE } from '../png-encode.js';
import { isPng, MAX_EXPANSION, PngError, parsePngHeader, readChunks } from '../png-read.js';
import type { Workspace } from './workspace.js';

/**
 * The common kinds of PNG, decoded by the pixel code as `decode.ts` and `png-read.ts` decode them, only as far as a box needs it.
 * Whatever is unusual or damaged gives null: those decoders then read it, or say what is wrong.
 */

/** Compressed pixels of 8 bits a channel, not interlaced: one value (grey or a palette index) or RGB. */
export interface StoredPixels extends Size {
  readonly channels: 1 | 3;
  readonly compressed: readonly Uint8Array[];
}

/** Chunks beside the pixels that change nothing when an image is read. */
const HARMLESS: ReadonlySet<string> = new Set(['gAMA', 'cHRM', 'sRGB', 'sBIT', 'bKGD', 'pHYs', 'tIME', 'IEND']);

/** More pixels would take too much memory at a time. */
const MOST_PIXELS = 2 ** 26;

/** Node's own since 20.15, several times as fast. */
const checksum: (bytes: Uint8Array) => number = (zlib as Partial<typeof zlib>).crc32 ?? crc32;

interface Contents {
  readonly header: ReturnType<typeof parsePngHeader>;
  readonly compressed: readonly Uint8Array[];
  /** Types of the other chunks. */
  readonly others: ReadonlySet<string>;
}

/** Null if it is no PNG, damaged, or does not begin with its header. */
function readContents(bytes: Buffer, checkSums: boolean): Contents | null {
  if (!isPng(bytes)) return null;
  const compressed: Uint8Array[] = [];
  const others = new Set<string>();
  let header: Contents['header'] | undefined;
  try {
    for (const { type, data, at } of readChunks(bytes)) {
      const end = at + 8 + data.length;
      if (checkSums && checksum(bytes.subarray(at + 4, end)) !== bytes.readUInt32BE(end)) return null;
      if (type === 'IHDR') {
        if (header) return null;
        header = parsePngHeader(data);
      } else if (!header) return null;
      else if (type === 'IDAT') compressed.push(data);
      else others.add(type);
    }
  } catch (error) {
    if (error instanceof PngError) return null;
    throw error;
  }
  return header ? { header, compressed, others } : null;
}

function storedPixels({ header, compressed }: Contents): StoredPixels | null {
  const { height, width, channels, bitDepth, isInterlaced } = header;
  if (bitDepth !== 8 || isInterlaced || (channels !== 1 && channels !== 3)) return null;
  const present = compressed.reduce((sum, { length }) => sum + length, 0);
  if (height * width > MOST_PIXELS || height * (width * channels + 1) > present * MAX_EXPANSION) return null;
  return { height, width, channels, compressed };
}

/** The pixels of an RGB image that `decodeRgb` would give unchanged; null if it is another or might be damaged. */
export function findImage(bytes: Buffer): StoredPixels | null {
  const contents = readContents(bytes, true);
  if (contents?.header.colourType !== COLOUR_TYPE.rgb) return null;
  return [...contents.others].every((type) => HARMLESS.has(type)) ? storedPixels(contents) : null;
}

/** The pixels of a label map of values, as `readLabelImage` would give them; null if it is another or might be damaged. */
export function findLabels(bytes: Buffer): StoredPixels | null {
  const contents = readContents(bytes, false);
  const type = contents?.header.colourType;
  // Grey of which a value is transparent is checked pixel by pixel there.
  const isPlain = type === COLOUR_TYPE.palette || (type === COLOUR_TYPE.grey && !contents!.others.has('tRNS'));
  return isPlain ? storedPixels(contents!) : null;
}

/** How far back deflate refers. */
const HISTORY = 32768;
/** Bytes that are decompressed at a time: few enough for the processor's cache. */
const PART = 65536;
/** What decompression may write beyond. */
const OVERRUN = 304;

/**
 * Decodes the pixels of a box: [height, width, channels]. The whole stream is decompressed and checked, but filters are undone only
 * above the box's bottom and on the left of its right side.
 * @returns Where the pixels are; null if the stream is damaged.
 */
export function decodePixels(workspace: Workspace, stored: StoredPixels, box: Box = wholeBox(stored)): number | null {
  const { code } = workspace;
  const { height, width, channels, compressed } = stored;
  const stride = width * channels + 1;
  const length = compressed.reduce((sum, part) => sum + part.length, 0);
  const input = workspace.reserve(length);
  // Decompressed rows; the last 32 KiB move to its start when it is full.
  const ring = workspace.reserve(HISTORY + PART + stride + OVERRUN);
  const ringEnd = ring + HISTORY + PART + stride;
  const lines = [workspace.reserve(stride), workspace.reserve(stride)] as const;
  const kept = box.width * channels;
  const pixels = workspace.reserve(box.height * kept);
  const { bytes } = workspace;
  let to = input;
  for (const part of compressed) {
    bytes.set(part, to);
    to += part.length;
  }
  if (!code.startInflate(input, length)) return null;

  const first = box.left * channels;
  const bottom = box.top + box.height;
  let out = ring;
  let row = ring;
  let adler = 1;
  let above = lines[1];
  bytes.fill(0, above, above + stride);
  for (let y = 0; y < height; ) {
    const end = code.inflate(out, Math.min(out + PART, ringEnd), ring);
    if (end === 0 || end === out) return null;
    adler = code.adler32(adler, out, end - out);
    out = end;
    for (; y < height && row + stride <= out; y++, row += stride) {
      if (y >= bottom) {
        if (bytes[row]! > 4) return null;
        continue;
      }
      const place = y < box.top ? null : pixels + (y - box.top) * kept;
      const target = place !== null && first === 0 ? place : lines[y % 2 === 0 ? 0 : 1];
      if (!code.unfilter(row, above, target, first + kept, channels)) return null;
      if (place !== null && place !== target) bytes.copyWithin(place, target + first, target + first + kept);
      above = target;
    }
    if (out + PART > ringEnd) {
      const from = Math.max(ring, Math.min(row, out - HISTORY));
      bytes.copyWithin(ring, from, out);
      out -= from - ring;
      row -= from - ring;
    }
  }
  // There must be no more, and the checksum must be right.
  const isWhole = row === out && code.inflate(out, out + 1, ring) === out && code.hasEnded(adler) !== 0;
  return isWhole ? pixels : null;
}

/** A copy of all pixels: [height, width, channels]; null if the stream is damaged. */
export function decodeWhole(workspace: Workspace, stored: StoredPixels): Uint8Array | null {
  const pixels = decodePixels(workspace, stored);
  return pixels === null
    ? null
    : workspace.bytes.slice(pixels, pixels + stored.height * stored.width * stored.channels);
}
