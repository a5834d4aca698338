import { promisify } from 'node:util';
import { deflate, constants as zlib } from 'node:zlib';
import type { Size } from './image.js';
import { COLOUR_TYPE, SIGNATURE, writeChunk } from './png-read.js';

/** RGB colours, one a class id. */
export type Palette = readonly (readonly [red: number, green: number, blue: number])[];

/**
 * An 8-bit palette PNG of a label map, [height, width]: viewers show the palette's colours, label readers the ids.
 * Ids without a colour of their own (the ignore index) are shown black.
 */
export function encodePalettePng(
  labels: Uint8Array,
  width: number,
  height: number,
  palette: Palette,
  /** Ids without a colour of their own are transparent instead of black: the map can be laid over its image. */
  { transparent = false }: { readonly transparent?: boolean } = {},
): Promise<Buffer> {
  if (labels.length !== width * height) {
    throw new RangeError(`A label map of ${width}×${height} has ${width * height} values, got ${labels.length}.`);
  }
  // A palette must hold every index that occurs, so it always has the 256 entries an 8-bit one can have.
  const full = Array.from({ length: 256 }, (_, id) => palette[id] ?? ([0, 0, 0] as const));
  const opacity = Uint8Array.from({ length: 256 }, (_, id) => (id < palette.length ? 255 : 0));
  return encodePng(
    labels,
    { height, width },
    { colourType: 'palette', filter: 'none', level: 6, palette: full, ...(transparent ? { opacity } : {}) },
  );
}

const compress = promisify(deflate);

/** What is done to a row before compression: nothing (labels), or the difference to the pixel on the left (images). */
type RowFilter = 'none' | 'sub';

interface PngOptions {
  readonly colourType: 'grey' | 'rgb' | 'palette';
  readonly filter: RowFilter;
  /** zlib's level, 1 (fast) to 9 (small). */
  readonly level: number;
  /** Colours of the palette, RGB; only where the colour type is palette. */
  readonly palette?: readonly (readonly [number, number, number])[];
  /** Opacity of the palette's colours, 0 to 255, in their order. */
  readonly opacity?: Uint8Array;
}

/** An 8-bit PNG of `data`, [height, width, channels] with 3 channels for RGB and else 1. */
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
    // Right to left, so that the neighbour is still unfiltered.
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
