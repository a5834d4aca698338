import { promisify } from 'node:util';
import { deflate, constants as zlib } from 'node:zlib';
import { crc32 } from '../support/files.js';
import type { Palette, Size } from './image.js';
import { COLOUR_TYPE, SIGNATURE } from './png-read.js';

const compress = promisify(deflate);

/** One chunk of a PNG: length, type, data and CRC. */
export function writeChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.allocUnsafe(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, data.length + 8)), data.length + 8);
  return chunk;
}

interface PngOptions {
  readonly colourType: 'grey' | 'rgb' | 'palette';
  /** How a row is prepared for compression: not at all (labels), or as differences to the pixel on the left (images). */
  readonly filter: 'none' | 'sub';
  /** zlib's level, 1 (fast) to 9 (small). */
  readonly level: number;
  /** The colours of a palette image. */
  readonly palette?: Palette;
  /** Opacity of the palette's colours, 0 to 255, in their order. */
  readonly opacity?: Uint8Array;
}

/** An 8-bit PNG of `data`, [height, width, channels]: three channels for RGB, otherwise one. */
export async function encodePng(
  data: Uint8Array | Uint8ClampedArray,
  { height, width }: Size,
  { colourType, filter, level, palette, opacity }: PngOptions,
): Promise<Buffer> {
  const channels = colourType === 'rgb' ? 3 : 1;
  const rowBytes = width * channels;
  const rows = Buffer.allocUnsafe(height * (rowBytes + 1));
  for (let y = 0; y < height; y++) {
    const from = y * rowBytes;
    const to = y * (rowBytes + 1) + 1;
    rows[to - 1] = filter === 'sub' ? 1 : 0;
    rows.set(data.subarray(from, from + rowBytes), to);
    if (filter === 'sub')
      for (let i = rowBytes - 1; i >= channels; i--) rows[to + i] = data[from + i]! - data[from + i - channels]!;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[9] = COLOUR_TYPE[colourType];
  const strategy = filter === 'sub' ? zlib.Z_FILTERED : zlib.Z_DEFAULT_STRATEGY;
  const pixels = await compress(rows, { level, strategy });
  return Buffer.concat([
    SIGNATURE,
    writeChunk('IHDR', header),
    ...(palette ? [writeChunk('PLTE', Uint8Array.from(palette.flat()))] : []),
    ...(opacity ? [writeChunk('tRNS', opacity)] : []),
    writeChunk('IDAT', pixels),
    writeChunk('IEND', new Uint8Array(0)),
  ]);
}

/**
 * An 8-bit palette PNG of a label map, [height, width]. Viewers show the palette's colours, label readers read the ids.
 * Ids without a colour, such as the ignore index, are black.
 */
export function encodePalettePng(
  labels: Uint8Array,
  width: number,
  height: number,
  palette: Palette,
  /** Makes ids without a colour transparent, so that the map can be laid over its image. */
  { transparent = false }: { readonly transparent?: boolean } = {},
): Promise<Buffer> {
  if (labels.length !== width * height) {
    throw new RangeError(`A label map of ${width}×${height} has ${width * height} values, got ${labels.length}.`);
  }
  // A palette must have a colour for every index that occurs, so it always has all 256.
  const full = Array.from({ length: 256 }, (_, id) => palette[id] ?? ([0, 0, 0] as const));
  const opacity = Uint8Array.from({ length: 256 }, (_, id) => (id < palette.length ? 255 : 0));
  return encodePng(
    labels,
    { height, width },
    { colourType: 'palette', filter: 'none', level: 6, palette: full, ...(transparent && { opacity }) },
  );
}
