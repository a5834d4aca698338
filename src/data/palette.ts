import { encodePng } from './png/write.js';

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
