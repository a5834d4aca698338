import type { Dataset } from '../data/dataset.js';
import { decodeRgb, readImageSize, readLabelSize } from '../data/decode.js';
import { type HeldLabels, heldOf, valuesOf } from '../data/held-labels.js';
import type { Size } from '../data/image.js';
import type { FileProblem } from '../data/problem.js';
import { LabelValueError, readLabels } from '../data/samples.js';
import type { Entry } from '../data/split.js';
import { UserError } from '../support/errors.js';

export interface CheckOptions {
  /** Headers only: neither pixels nor label values are looked at. */
  readonly fast: boolean;
  /** Size that every image must have; null where they differ. */
  readonly size: Size | null;
  /** Read the label also where `fast`, to know what it holds. */
  readonly lookAtLabels?: boolean;
}

/** The size of what was read, or why it was not. */
type Reading = Size | FileProblem;

async function tryReading(
  file: string,
  kind: 'image file' | 'label file',
  read: () => Promise<Size>,
): Promise<Reading> {
  try {
    const { height, width } = await read();
    return { height, width };
  } catch (error) {
    if (error instanceof LabelValueError) {
      return { file, kind: 'label value', message: error.message, detail: error.held };
    }
    if (error instanceof UserError) return { file, kind, message: error.message };
    // The disk refuses: as much a broken file as one that cannot be decoded.
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { file, kind, message: `${file}: cannot be read (${code}).`, detail: code };
  }
}

const format = ({ height, width }: Size) => `${width}×${height}`;
const isSame = (a: Size, b: Size) => a.height === b.height && a.width === b.width;

/** What is wrong with an image and its label, and what the label holds; null where it was not read or cannot be. */
export interface CheckedEntry {
  /** None where both are as the data set's description says. */
  readonly problems: readonly FileProblem[];
  readonly held: HeldLabels | null;
}

/** Looks at an image and its label. */
export async function checkEntry(
  { image, label }: Entry,
  dataset: Dataset,
  { fast, size, lookAtLabels }: CheckOptions,
): Promise<CheckedEntry> {
  let held: HeldLabels | null = null;
  const read = async () => {
    const labels = await readLabels(label, dataset, (values) => {
      held = heldOf(values, dataset);
    });
    held ??= { ids: valuesOf(labels), values: [] };
    return labels;
  };
  const readHeader = async () => {
    // What is wrong with its pixels is for who asks for them.
    if (lookAtLabels === true) await tryReading(label, 'label file', read);
    return readLabelSize(label);
  };
  const readings = await Promise.all([
    tryReading(image, 'image file', () => (fast ? readImageSize(image) : decodeRgb(image))),
    tryReading(label, 'label file', fast ? readHeader : read),
  ]);
  const problems = readings.filter((reading): reading is FileProblem => 'message' in reading);
  const [imageSize, labelSize] = readings;
  if ('message' in imageSize) return { problems, held };
  if (size !== null && !isSame(imageSize, size)) {
    const message = `${image} is ${format(imageSize)} pixels, expected ${format(size)}.`;
    problems.push({ file: image, kind: 'image size', message, detail: format(imageSize) });
  }
  if (!('message' in labelSize) && !isSame(imageSize, labelSize)) {
    const message = `${label} is ${format(labelSize)} pixels, but its image is ${format(imageSize)}.`;
    const detail = `${format(labelSize)} for ${format(imageSize)}`;
    problems.push({ file: label, kind: 'label size', message, detail });
  }
  return { problems, held };
}
