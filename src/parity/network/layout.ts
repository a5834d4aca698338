import path from 'node:path';
import { decodeRgb } from '../../data/decode.js';
import type { RgbImage } from '../../data/image.js';
import { MEAN_RGB, STD_RGB } from '../../data/transforms/normalise.js';
import { UserError } from '../../support/errors.js';
import { readCheckpoint } from '../../weights/load.js';
import { Collector, type Findings, largestDifference, Worst } from '../check.js';
import { type ReferenceFolder, rgbOf } from '../folder.js';
import { TOLERANCES } from '../tolerances.js';
import type { NetworkCase } from './case.js';

/** A value that normalising took from a whole number comes back to it within this: 255 levels in float32. */
const ROUNDING = 1e-3;

/**
 * An image of a case: its PNG file, or an array of its levels, or else what it was before it was normalised into
 * `eval_<image>_input`. Null where the set has none of them.
 * @throws UserError when it is not of the size that the case says, or the input is no normalised image.
 */
export async function caseImage(networkCase: NetworkCase, name: string): Promise<RgbImage | null> {
  const { folder, meta } = networkCase;
  const { image: file, size_hw: size } = meta.images[name]!;
  const input = `eval_${name}_input.npy`;
  const levels = file.replace(/\.[^.]+$/, '.npy');
  let image: RgbImage;
  let from: string;
  if (folder.has(file)) [image, from] = [await decodeRgb(folder.file(file)), file];
  else if (folder.has(levels)) [image, from] = [rgbOf(folder, levels), levels];
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

export interface NhwcArray {
  readonly shape: [number, number, number, number];
  readonly data: Float32Array;
}

/** A float32 .npy file of NCHW values, in NHWC order. @throws UserError when it has not four axes. */
export function readNhwc(folder: ReferenceFolder, file: string): NhwcArray {
  const { shape, data } = folder.floats(file);
  if (shape.length !== 4) throw new UserError(`${folder.path}: ${file} has shape [${shape}], expected four axes.`);
  const [images, channels, height, width] = shape as [number, number, number, number];
  const pixels = height * width;
  const result = new Float32Array(data.length);
  for (let plane = 0, source = 0; plane < images * channels; plane++) {
    const channel = plane % channels;
    const start = (plane - channel) * pixels + channel;
    for (let pixel = 0; pixel < pixels; pixel++) result[start + pixel * channels] = data[source++]!;
  }
  return { shape: [images, height, width, channels], data: result };
}

/** Containers of the same weights that a case may hold beside the one that is used. */
const OTHERS = ['model.pth', 'model_legacy.pth'];

/** Compares the weights in every container that a case has. @throws UserError when one cannot be read. */
export async function weightsChecks(networkCase: NetworkCase): Promise<Findings> {
  const findings = new Collector(networkCase.name);
  const { folder } = networkCase;
  const used = networkCase.weights();
  const others = OTHERS.filter((name) => folder.has(name) && folder.file(name) !== used);
  if (others.length === 0) return findings;
  const { tensors } = await readCheckpoint(used);
  for (const name of others) {
    const other = await readCheckpoint(folder.file(name));
    const worst = new Worst().add(other.tensors.size - tensors.size, 'number of tensors');
    for (const [key, tensor] of tensors) {
      const values = other.tensors.get(key)?.toFloat32() ?? new Float32Array();
      worst.add(largestDifference(values, tensor.toFloat32()), key);
    }
    findings.add(`weights in ${name}`, TOLERANCES.sameWeights, worst);
  }
  return findings;
}
