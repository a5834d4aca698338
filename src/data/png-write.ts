import { promisify } from 'node:util';
import { deflate, constants as zlib } from 'node:zlib';
import type { Palette, Size } from './image.js';
import { type PngKind, paletteKind, pngParts, pngRows } from './png-encode.js';

const compress = promisify(deflate);

interface PngOptions extends PngKind {
  /** zlib's level, 1 (fast) to 9 (small). */
  readonly level: number;
}

/** An 8-bit PNG of `data`, [height, width, channels]: three channels for RGB, otherwise one. */
export async function encodePng(
  data: Uint8Array | Uint8ClampedArray,
  size: Size,
  options: PngOptions,
): Promise<Buffer> {
  const strategy = options.filter === 'sub' ? zlib.Z_FILTERED : zlib.Z_DEFAULT_STRATEGY;
  const compressed = await compress(pngRows(data, size, options), { level: options.level, strategy });
  return Buffer.concat(pngParts(size, options, compressed));
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
  const opacity = Uint8Array.from({ length: 256 }, (_, id) => (id < palette.length ? 255 : 0));
  const kind = { ...paletteKind(palette), ...(transparent && { opacity }) };
  return encodePng(labels, { height, width }, { ...kind, level: 6 });
}
