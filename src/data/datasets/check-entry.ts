import { UserError } from '../../support/errors.js';
import { decodeLabels, decodeRgb, readImageSize, readLabelSize } from '../decode.js';
import type { Size } from '../image.js';
import { toTrainingIds } from '../samples/load.js';
import type { Dataset } from './dataset.js';
import type { Entry } from './find-entries.js';

export interface CheckOptions {
  /** Headers only: neither pixels nor label values are looked at. */
  readonly fast: boolean;
  /** Size that every image must have; null where they differ. */
  readonly size: Size | null;
}

/** What is wrong with a file. */
export interface FileProblem {
  readonly file: string;
  /** Names the file. */
  readonly message: string;
}

/** The size of what was read, or why it was not. */
type Reading = Size | FileProblem;

async function tryReading(file: string, read: () => Promise<Size>): Promise<Reading> {
  try {
    const { height, width } = await read();
    return { height, width };
  } catch (error) {
    if (error instanceof UserError) return { file, message: error.message };
    // The disk refuses: as much a broken file as one that cannot be decoded.
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { file, message: `${file}: cannot be read (${code}).` };
  }
}

const format = ({ height, width }: Size) => `${width}×${height}`;
const isSame = (a: Size, b: Size) => a.height === b.height && a.width === b.width;

/** Everything that is wrong with an image and its label; nothing where both are as the data set's description says. */
export async function checkEntry(
  { image, label }: Entry,
  dataset: Dataset,
  { fast, size }: CheckOptions,
): Promise<FileProblem[]> {
  const readLabels = async () => {
    const labels = await decodeLabels(label);
    toTrainingIds(labels, dataset, label);
    return labels;
  };
  const readings = await Promise.all([
    tryReading(image, () => (fast ? readImageSize(image) : decodeRgb(image))),
    tryReading(label, () => (fast ? readLabelSize(label) : readLabels())),
  ]);
  const problems = readings.filter((reading): reading is FileProblem => 'message' in reading);
  const [imageSize, labelSize] = readings;
  if ('message' in imageSize) return problems;
  if (size !== null && !isSame(imageSize, size)) {
    const message = `${image} is ${format(imageSize)} pixels, expected ${format(size)}.`;
    problems.push({ file: image, message });
  }
  if (!('message' in labelSize) && !isSame(imageSize, labelSize)) {
    const message = `${label} is ${format(labelSize)} pixels, but its image is ${format(imageSize)}.`;
    problems.push({ file: label, message });
  }
  return problems;
}
