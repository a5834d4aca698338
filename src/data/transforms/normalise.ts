import type { RgbImage } from '../image.js';

/** Mean and standard deviation of each channel, RGB, of ImageNet, on which the published backbones were trained. */
export const MEAN_RGB = [123.675, 116.28, 103.53] as const;
export const STD_RGB = [58.395, 57.12, 57.375] as const;

/** (v − mean)/std for every byte v of a channel, in float32 as the original computes it: a product with 1/std. */
function channelTable(channel: 0 | 1 | 2): Float32Array {
  const factor = 1 / STD_RGB[channel];
  return Float32Array.from({ length: 256 }, (_, value) => Math.fround(value - MEAN_RGB[channel]) * factor);
}

/** The normalised value of each byte, for each channel. */
export const NORMALISED = [channelTable(0), channelTable(1), channelTable(2)] as const;

/**
 * Writes (v − mean)/std of an RGB image into the top left of a [height, width, 3] target that starts at `offset` and
 * is `targetWidth` pixels wide. Leaves the rest of the target as it is: padding is 0 *after* normalising.
 */
export function normaliseInto(image: RgbImage, target: Float32Array, offset = 0, targetWidth = image.width): void {
  const [red, green, blue] = NORMALISED;
  const { data, height, width } = image;
  let from = 0;
  for (let y = 0; y < height; y++) {
    let to = offset + y * targetWidth * 3;
    for (let x = 0; x < width; x++, from += 3, to += 3) {
      target[to] = red[data[from]!]!;
      target[to + 1] = green[data[from + 1]!]!;
      target[to + 2] = blue[data[from + 2]!]!;
    }
  }
}

/** The RGB bytes behind normalised values, [height, width, 3]; a padded 0 becomes the mean colour. */
export function denormalise(values: Float32Array): Uint8Array {
  return Uint8Array.from(values, (value, i) => {
    const channel = i % 3;
    return Math.min(Math.max(Math.round(value * STD_RGB[channel]! + MEAN_RGB[channel]!), 0), 255);
  });
}

/** A normalised copy of a whole image: [height, width, 3]. */
export function normalise(image: RgbImage): Float32Array {
  const result = new Float32Array(image.height * image.width * 3);
  normaliseInto(image, result);
  return result;
}
