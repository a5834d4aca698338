import type { Palette } from '../data/image.js';
import { paletteKind, pngParts, pngRows } from '../data/png-encode.js';
import type { Segmented } from './picture.js';

/** The palette PNG of a label map, as `fcn predict` writes it. @throws Error if the browser cannot compress. */
export async function labelPng({ width, height, labels }: Segmented, palette: Palette): Promise<Blob> {
  if (typeof CompressionStream === 'undefined') throw new Error('This browser is too old to write a PNG.');
  const kind = paletteKind(palette);
  const rows = new Blob([pngRows(labels, { width, height }, kind)]).stream();
  const compressed = await new Response(rows.pipeThrough(new CompressionStream('deflate'))).arrayBuffer();
  return new Blob(pngParts({ width, height }, kind, new Uint8Array(compressed)), { type: 'image/png' });
}

/** Offers a file to be saved. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
