import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { explainFileError } from '../support/files.js';
import { type Dataset, replacedLabels } from './dataset.js';
import { readStart } from './files.js';
import { holdsColours, PNG_HEADER_BYTES, PngError } from './png-read.js';
import { badSampleReason } from './problem.js';
import { type Incomplete, readSplit } from './split.js';

/** The state of a data set: two hashes (SHA-256, hexadecimal) and its size. */
interface Fingerprint {
  /** Of its classes, of the meaning of label values (and colours, if label maps hold them), and of the samples' names in order. */
  readonly names: string;
  /** The same with the sizes in bytes of image and label. Reading the contents would take minutes on a large set. */
  readonly files: string;
  /** Number of samples of each split. */
  readonly images: Readonly<Record<string, number>>;
}

/** @throws UserError like `readSplit`. */
export async function datasetFingerprint(
  dataset: Dataset,
  splits: readonly string[],
  dataRoot: string,
  incomplete: Incomplete = 'refused',
): Promise<Fingerprint> {
  const replaced = replacedLabels(dataset);
  const head = JSON.stringify([
    dataset.classes,
    dataset.ignoreIndex,
    dataset.reduceZeroLabel,
    ...(replaced.length === 0 ? [] : [{ labels: replaced }]),
  ]);
  const names = createHash('sha256').update(head);
  const files = createHash('sha256').update(head);
  const images: Record<string, number> = {};
  let anyColours = false;
  for (const split of splits) {
    const entries = await readSplit(dataset, split, dataRoot, incomplete);
    images[split] = entries.length;
    for (const { name, image, label } of entries) {
      const [imageSize, labelSize, inColours] = await Promise.all([sizeOf(image), sizeOf(label), isOfColours(label)]);
      anyColours ||= inColours;
      names.update(`\n${split} ${name}`);
      files.update(`\n${split} ${name} ${imageSize} ${labelSize}`);
    }
  }
  if (anyColours) {
    const colours = JSON.stringify([dataset.palette, dataset.ignoreColours ?? []]);
    names.update(`\ncolours ${colours}`);
    files.update(`\ncolours ${colours}`);
  }
  return { names: names.digest('hex'), files: files.digest('hex'), images };
}

/** Bytes of a file; 'missing' if it does not exist. */
async function sizeOf(file: string): Promise<number | 'missing'> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing';
    throw explainFileError(error, file, 'read');
  }
}

/** Whether a label map holds colours, by its header. False if it cannot be read: whoever reads all of it reports that. */
async function isOfColours(file: string): Promise<boolean> {
  try {
    return holdsColours(await readStart(file, PNG_HEADER_BYTES));
  } catch (error) {
    if (error instanceof PngError || badSampleReason(error) !== null) return false;
    throw error;
  }
}
