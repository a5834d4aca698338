import { UserError } from '../../support/errors.js';
import type { ReferenceFolder } from '../folder.js';

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
