import { crc32 } from '../support/checksums.js';
import type { Palette, Size } from './image.js';

/** A PNG is a signature, then chunks of length, type, data and CRC (PNG specification, third edition, chapter 5). */

export const SIGNATURE_BYTES = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] as const;

export const COLOUR_TYPE = { grey: 0, rgb: 2, palette: 3, greyAlpha: 4, rgba: 6 } as const;

/** What of a PNG of 8 bits a channel is decided before its rows are compressed. */
export interface PngKind {
  readonly colourType: 'grey' | 'rgb' | 'palette';
  /** How a row is prepared for compression: not at all (labels), or as differences to the pixel on the left (images). */
  readonly filter: 'none' | 'sub';
  /** The colours of a palette image. */
  readonly palette?: Palette;
  /** Opacity of the palette's colours, 0 to 255, in their order. */
  readonly opacity?: Uint8Array;
}

/** The rows of `data`, [height, width, channels], as a PNG compresses them: each behind the number of its filter. */
export function pngRows(
  data: Uint8Array | Uint8ClampedArray,
  { height, width }: Size,
  { colourType, filter }: PngKind,
): Uint8Array<ArrayBuffer> {
  const channels = colourType === 'rgb' ? 3 : 1;
  const rowBytes = width * channels;
  const rows = new Uint8Array(height * (rowBytes + 1));
  for (let y = 0; y < height; y++) {
    const from = y * rowBytes;
    const to = y * (rowBytes + 1) + 1;
    rows[to - 1] = filter === 'sub' ? 1 : 0;
    rows.set(data.subarray(from, from + rowBytes), to);
    if (filter === 'sub')
      for (let i = rowBytes - 1; i >= channels; i--) rows[to + i] = data[from + i]! - data[from + i - channels]!;
  }
  return rows;
}

/** The parts of a PNG, in order. @param compressed Its rows, as zlib compresses them. */
export function pngParts({ height, width }: Size, kind: PngKind, compressed: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const { colourType, palette, opacity } = kind;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  header[9] = COLOUR_TYPE[colourType];
  return [
    Uint8Array.from(SIGNATURE_BYTES),
    pngChunk('IHDR', header),
    ...(palette ? [pngChunk('PLTE', Uint8Array.from(palette.flat()))] : []),
    ...(opacity ? [pngChunk('tRNS', opacity)] : []),
    pngChunk('IDAT', compressed),
    pngChunk('IEND', new Uint8Array(0)),
  ];
}

/** One chunk of a PNG: length, type, data and CRC. */
export function pngChunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const chunk = new Uint8Array(data.length + 12);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) chunk[4 + i] = type.charCodeAt(i);
  chunk.set(data, 8);
  view.setUint32(data.length + 8, crc32(chunk.subarray(4, data.length + 8)));
  return chunk;
}

/** A label map with the colours of its classes. Ids without a colour, such as the ignore index, are black. */
export function paletteKind(palette: Palette): PngKind & { readonly palette: Palette } {
  // A palette must have a colour for every index that occurs, so it always has all 256.
  const full = Array.from({ length: 256 }, (_, id) => palette[id] ?? ([0, 0, 0] as const));
  return { colourType: 'palette', filter: 'none', palette: full };
}
