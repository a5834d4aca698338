import { IGNORE_INDEX } from '../data/batch.js';
import type { RgbImage } from '../data/image.js';
import type { Palette } from '../data/palette.js';

const BLACK = [0, 0, 0] as const;
const WRONG = [230, 30, 30] as const;

/** An image with its classes' colours laid over it; ids without a colour (the ignore index) leave it as it is. */
export function overlay(image: RgbImage, labels: Uint8Array, palette: Palette, opacity: number): RgbImage {
  return coloured(image, (pixel) => palette[labels[pixel]!], opacity);
}

/** Where a prediction is wrong: red over the grey image; black where the truth is not labelled. */
export function errorMap(image: RgbImage, prediction: Uint8Array, truth: Uint8Array): RgbImage {
  const { height, width, data } = image;
  const grey = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    // Luma by ITU-R BT.601, brightened so that red stands out from dark images.
    grey.fill(128 + (0.299 * data[i]! + 0.587 * data[i + 1]! + 0.114 * data[i + 2]!) / 2, i, i + 3);
  }
  const colour = (pixel: number) => {
    if (truth[pixel] === IGNORE_INDEX) return BLACK;
    return prediction[pixel] === truth[pixel] ? undefined : WRONG;
  };
  return coloured({ height, width, data: grey }, colour, 1);
}

type Colour = Palette[number];

function coloured(image: RgbImage, colour: (pixel: number) => Colour | undefined, opacity: number): RgbImage {
  const data = Uint8Array.from(image.data);
  for (let pixel = 0; pixel < image.height * image.width; pixel++) {
    const over = colour(pixel);
    if (over === undefined) continue;
    for (let channel = 0; channel < 3; channel++) {
      const i = 3 * pixel + channel;
      data[i] = Math.round((1 - opacity) * data[i]! + opacity * over[channel]!);
    }
  }
  return { ...image, data };
}
