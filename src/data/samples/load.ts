import { UserError } from '../../support/errors.js';
import { type Dataset, INVALID_LABEL, labelTable } from '../datasets/dataset.js';
import type { Entry } from '../datasets/read-split.js';
import { decodeLabels, decodeRgb } from '../decode.js';
import type { LabelMap, RgbImage } from '../image.js';

/**
 * Turns raw label values into training ids, in place.
 * @throws UserError naming file, value and pixel of a value that is no class of the data set.
 */
export function toTrainingIds(labels: LabelMap, dataset: Dataset, file: string): void {
  const table = labelTable(dataset);
  const { data, width } = labels;
  for (let i = 0; i < data.length; i++) {
    const id = table[data[i]!]!;
    if (id === INVALID_LABEL) {
      const first = dataset.reduceZeroLabel ? 1 : 0;
      const zero = dataset.reduceZeroLabel ? ' (or 0: no class)' : '';
      throw new UserError(
        `${file}: label value ${data[i]} at column ${i % width}, row ${Math.floor(i / width)} is no class of ` +
          `${dataset.name}: expected ${first} to ${first + dataset.classes.length - 1}${zero}, or ${dataset.ignoreIndex}.`,
        'Mend the label map, or the classes in the description of the data set.',
      );
    }
    data[i] = id;
  }
}

/**
 * Reads an image and its label, in training ids.
 * @throws UserError naming the file that cannot be decoded, holds a wrong value, or is not as large as the other.
 */
export async function loadSample(entry: Entry, dataset: Dataset): Promise<{ image: RgbImage; labels: LabelMap }> {
  const [image, labels] = await Promise.all([decodeRgb(entry.image), decodeLabels(entry.label)]);
  if (image.width !== labels.width || image.height !== labels.height) {
    throw new UserError(
      `${entry.label} is ${labels.width}×${labels.height} pixels, but its image ${entry.image} is ` +
        `${image.width}×${image.height}.`,
      'An image and its label map must be of the same size.',
    );
  }
  toTrainingIds(labels, dataset, entry.label);
  return { image, labels };
}
