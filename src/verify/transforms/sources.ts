import { decodeLabels, decodeRgb } from '../../data/decode.js';
import type { LabelMap, RgbImage } from '../../data/image.js';
import type { ReferenceFolder } from '../folder.js';

/** The reference of the data transforms: its folder, and its source images, which cases name by a letter. */
export class TransformReference {
  constructor(readonly top: ReferenceFolder) {}

  /** Whether the source images are there. */
  has(...letters: string[]): boolean {
    return letters.every((letter) => this.top.has(`in_${letter}.png`) && this.top.has(`in_${letter}_label.png`));
  }

  image(letter: string): Promise<RgbImage> {
    return decodeRgb(this.top.file(`in_${letter}.png`));
  }

  labels(letter: string): Promise<LabelMap> {
    return decodeLabels(this.top.file(`in_${letter}_label.png`));
  }
}

/** An RGB image or a table of pixels: [height, width, 3] or [count, 3]. */
export function rgbOf(folder: ReferenceFolder, file: string): RgbImage {
  const { shape, data } = folder.octets(file);
  return shape.length === 3 ? { height: shape[0]!, width: shape[1]!, data } : { height: 1, width: shape[0]!, data };
}

export function labelsOf(folder: ReferenceFolder, file: string): LabelMap {
  const { shape, data } = folder.octets(file);
  return { height: shape[0]!, width: shape[1]!, data };
}
