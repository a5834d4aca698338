import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { explainFileError } from '../../support/files.js';
import type { Dataset } from './dataset.js';
import { type Incomplete, readSplit } from './read-split.js';

/** Two hashes (SHA-256, hexadecimal) that tell one state of a data set from another. */
export interface Fingerprint {
  /** Over its classes and, for each split, the names of its samples, in order: what a sample's number means. */
  readonly names: string;
  /** The same with the sizes in bytes of image and label. The contents are not read: that would take minutes on a large set. */
  readonly files: string;
}

/** A fingerprint, and the number of samples of each split. */
export interface CountedFingerprint extends Fingerprint {
  readonly images: Readonly<Record<string, number>>;
}

/** @throws UserError as `readSplit`. */
export async function datasetFingerprint(
  dataset: Dataset,
  splits: readonly string[],
  dataRoot: string,
  incomplete: Incomplete = 'refused',
): Promise<CountedFingerprint> {
  const head = JSON.stringify([dataset.classes, dataset.ignoreIndex, dataset.reduceZeroLabel]);
  const names = createHash('sha256').update(head);
  const files = createHash('sha256').update(head);
  const images: Record<string, number> = {};
  for (const split of splits) {
    const entries = await readSplit(dataset, split, dataRoot, incomplete);
    images[split] = entries.length;
    for (const { name, image, label } of entries) {
      const [imageSize, labelSize] = await Promise.all([sizeOf(image), sizeOf(label)]);
      names.update(`\n${split} ${name}`);
      files.update(`\n${split} ${name} ${imageSize} ${labelSize}`);
    }
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
