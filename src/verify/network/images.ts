import path from 'node:path';
import { decodeRgb } from '../../data/decode.js';
import type { RgbImage } from '../../data/image.js';
import { MEAN_RGB, STD_RGB } from '../../data/transforms/normalise.js';
import { UserError } from '../../support/errors.js';
import type { NetworkCase } from './case.js';
import { readNhwc } from './layout.js';

/** A value that normalising took from a whole number comes back to it within this: 255 levels in float32. */
const ROUNDING = 1e-3;

/**
 * An image of a case: its file, or else what it was before it was normalised into `eval_<image>_input`. Null where the set
 * has neither.
 * @throws UserError when it is not of the size that the case says, or the input is no normalised image.
 */
export async function caseImage(networkCase: NetworkCase, name: string): Promise<RgbImage | null> {
  const { folder, meta } = networkCase;
  const { image: file, size_hw: size } = meta.images[name]!;
  const input = `eval_${name}_input.npy`;
  let image: RgbImage;
  let from: string;
  if (folder.has(file)) [image, from] = [await decodeRgb(folder.file(file)), file];
  else if (folder.has(input)) [image, from] = [denormalised(networkCase, input), input];
  else return null;
  if (image.height !== size[0] || image.width !== size[1]) {
    const found = `${image.height}×${image.width}`;
    throw new UserError(`${path.join(folder.path, from)} is ${found} pixels, meta.json says ${size.join('×')}.`);
  }
  return image;
}

function denormalised({ folder }: NetworkCase, file: string): RgbImage {
  const { shape, data } = readNhwc(folder, file);
  const levels = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const channel = i % 3;
    const level = data[i]! * STD_RGB[channel]! + MEAN_RGB[channel]!;
    levels[i] = Math.round(level);
    if (!(Math.abs(level - levels[i]!) < ROUNDING)) {
      throw new UserError(`${path.join(folder.path, file)}: element ${i} is no normalised level of 0 to 255.`);
    }
  }
  return { height: shape[1], width: shape[2], data: levels };
}
