import { encodeJpeg } from '../jpeg.js';
import { encodePalettePng, type Palette } from '../palette.js';
import { encodePng } from '../png/write.js';
import type { Imitation } from './imitations.js';
import type { Painting } from './paint.js';
import type { Form, FormedFile, GenerateTask } from './plan.js';
import { contextMapOf, contextRegionsOf } from './raw/context.js';
import { polygonsOf } from './raw/polygons.js';
import { sbdFileOf } from './raw/sbd.js';

/** Hardly to be told from the original, and less than half its size. */
const JPEG_QUALITY = 92;

/** A painting, and what its files say besides. */
export interface Painted {
  readonly painting: Painting;
  readonly task: GenerateTask;
  readonly imitation: Imitation;
  readonly palette: Palette;
}

function encodeImage({ size, rgb }: Painting, file: string): Promise<Buffer> {
  return file.endsWith('.png')
    ? encodePng(rgb, size, { colourType: 'rgb', filter: 'sub', level: 1 })
    : encodeJpeg({ ...size, data: new Uint8Array(rgb.buffer) }, JPEG_QUALITY);
}

/** Cityscapes' label ids, which only its paintings have. */
function requireIds({ labelIds }: Painting, form: Form): Uint8Array {
  if (labelIds === null) throw new Error(`A painting without label ids cannot be written as ${form}.`);
  return labelIds;
}

/** The bytes of one file of a painting. */
export async function encode({ painting, task, imitation, palette }: Painted, formed: FormedFile): Promise<Uint8Array> {
  const { size, labels } = painting;
  const grey = (ids: Uint8Array) => encodePng(ids, size, { colourType: 'grey', filter: 'none', level: 1 });
  const map = { ...size, data: labels };
  switch (formed.form) {
    case 'image':
      return encodeImage(painting, formed.file);
    case 'labels':
      return imitation.labels === 'grey' ? grey(labels) : encodePalettePng(labels, size.width, size.height, palette);
    case 'cityscapes-label-ids':
      return grey(requireIds(painting, formed.form));
    case 'cityscapes-polygons':
      return Buffer.from(polygonsOf({ ...size, data: requireIds(painting, formed.form) }));
    case 'sbd-segmentation':
      return sbdFileOf(map, palette.length);
    case 'context-map':
      return contextMapOf(map, task.index);
    case 'context-regions':
      return Buffer.from(JSON.stringify(contextRegionsOf(map, task)));
  }
}
