import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { explainFileError } from '../support/files.js';
import { type Dataset, replacedLabels } from './dataset.js';
import { HEADER_BYTES, holdsColours, PngError } from './png-read.js';
import { type Incomplete, readSplit } from './split.js';

/** Two hashes (SHA-256, hexadecimal) that tell one state of a data set from another. */
export interface Fingerprint {
  /**
   * Over its classes, over what label values mean (colours, too, where label maps hold them) and, for each split, over the names of
   * its samples, in order: what a sample's number means.
   */
  readonly names: string;
  /** The same with the sizes in bytes of image and label. The contents are not read: that would take minutes on a large set. */
  readonly files: string;
}

/** A fingerprint, and the number of samples of each split. */
interface CountedFingerprint extends Fingerprint {
  readonly images: Readonly<Record<string, number>>;
}

/** @throws UserError as `readSplit`. */
export async function datasetFingerprint(
  dataset: Dataset,
  splits: readonly string[],
  dataRoot: string,
  incomplete: Incomplete = 'refused',
): Promise<CountedFingerprint> {
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

/** Bytes of a file; 'missing' where it is not there. */
async function sizeOf(file: string): Promise<number | 'missing'> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing';
    throw explainFileError(error, file, 'read');
  }
}

/** Whether a label map holds colours, by its header; one that cannot be read is reported by who reads all of it. */
async function isOfColours(file: string): Promise<boolean> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      return holdsColours(buffer.subarray(0, bytesRead));
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof PngError || (error as NodeJS.ErrnoException).syscall !== undefined) return false;
    throw error;
  }
}
