import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset, SplitSource } from '../data/dataset.js';
import { decodeRgb, readImageSize, readLabelSize } from '../data/decode.js';
import { listFiles } from '../data/files.js';
import type { Size } from '../data/image.js';
import { distinctLabels, type LabelContents, labelContents } from '../data/label-inventory.js';
import type { FileProblem, Problem } from '../data/problem.js';
import { LabelValueError, readLabels } from '../data/samples.js';
import { datasetFolder, namesOf, readList, type SplitEntry } from '../data/split.js';
import { UserError } from '../support/errors.js';
import { isFolder } from '../support/files.js';

export interface CheckOptions {
  /** Read headers only: neither pixels nor label values. */
  readonly fast: boolean;
  /** Size that every image must have; null if they differ. */
  readonly size: Size | null;
  /** Read the label even if `fast`, to learn which values it holds. */
  readonly lookAtLabels?: boolean;
}

/** The size of an image or label map, or why it cannot be read. */
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
    // A file that the disk cannot read is reported like one that cannot be decoded.
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { file, kind, message: `${file}: cannot be read (${code}).`, detail: code };
  }
}

const format = ({ height, width }: Size) => `${width}×${height}`;
const isSame = (a: Size, b: Size) => a.height === b.height && a.width === b.width;

export interface CheckedEntry {
  readonly problems: readonly FileProblem[];
  /** The values in the label; null if it was not read or cannot be read. */
  readonly held: LabelContents | null;
}

/** Checks an image and its label against the data set's description. */
export async function checkEntry(
  { image, label }: SplitEntry,
  dataset: Dataset,
  { fast, size, lookAtLabels }: CheckOptions,
): Promise<CheckedEntry> {
  let held: LabelContents | null = null;
  const read = async () => {
    const labels = await readLabels(label, dataset, (values) => {
      held = labelContents(values, dataset);
    });
    held ??= { ids: distinctLabels(labels), values: [] };
    return labels;
  };
  const readHeader = async () => {
    // Problems with its values are not reported then.
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

/** The folders of a source. */
interface Folders {
  readonly images: string;
  readonly labels: string;
  /** The same for two links to one folder. */
  readonly realLabels: string;
}

/** The folders of a source; null if one of them does not exist. */
async function foldersOf(root: string, source: SplitSource): Promise<Folders | null> {
  const images = path.join(root, source.images);
  const labels = path.join(root, source.labels);
  if (!(await isFolder(images)) || !(await isFolder(labels))) return null;
  return { images, labels, realLabels: await realpath(labels) };
}

const filesOf = ({ images, labels }: Folders, { imageSuffix, labelSuffix }: SplitSource) => ({
  ofImages: { folder: images, suffix: imageSuffix },
  ofLabels: { folder: labels, suffix: labelSuffix },
});

/** Real paths of the labels of all images of all splits, existing or not. */
async function expectedLabels({ splits }: Dataset, root: string, list: typeof listFiles): Promise<Set<string>> {
  const expected = new Set<string>();
  for (const source of Object.values(splits).flat()) {
    const folders = await foldersOf(root, source);
    if (folders === null) continue;
    const { ofImages, ofLabels } = filesOf(folders, source);
    const names = namesOf(await list(folders.images), ofImages, ofLabels);
    // Images that a list names and that do not exist are problems of their own, and so is a list that cannot be read.
    const listed = source.list === null ? [] : await readList(path.resolve(root, source.list)).catch(noneIfUnreadable);
    for (const name of [...names, ...listed]) expected.add(path.join(folders.realLabels, name + source.labelSuffix));
  }
  return expected;
}

function noneIfUnreadable(error: unknown): string[] {
  if (error instanceof UserError) return [];
  throw error;
}

/**
 * Labels in the folders of splits that belong to no image of any split: sources of the same split or of several may share
 * folders. Folders whose sources all have a list are left out, since a list need not name every image. Spare labels do not stop
 * a run, but may show that an image was not found.
 */
export async function spareLabels(dataset: Dataset, splits: readonly string[], dataRoot: string): Promise<Problem[]> {
  const root = datasetFolder(dataset, dataRoot);
  // Sources share folders: each folder is listed once.
  const listings = new Map<string, Promise<string[]>>();
  const list = (folder: string): Promise<string[]> => {
    const listing = listings.get(folder) ?? listFiles(folder);
    listings.set(folder, listing);
    return listing;
  };
  const expected = await expectedLabels(dataset, root, list);
  const spare = new Map<string, Problem>();
  for (const split of splits) {
    for (const source of dataset.splits[split] ?? []) {
      const folders = source.list === null ? await foldersOf(root, source) : null;
      if (folders === null) continue;
      const { ofImages, ofLabels } = filesOf(folders, source);
      const images = await list(folders.images);
      for (const name of namesOf(await list(folders.labels), ofLabels, ofImages)) {
        const real = path.join(folders.realLabels, name + source.labelSuffix);
        if (expected.has(real) || spare.has(real)) continue;
        const file = path.join(folders.labels, name + source.labelSuffix);
        const image = images.find((candidate) => candidate.startsWith(`${name}.`));
        const suffix = `does not end in ${source.imageSuffix}`;
        const hint = image === undefined ? '' : `: ${path.join(folders.images, image)} ${suffix}`;
        spare.set(real, {
          ...{ file, split, kind: 'spare label', message: `${file} is the label of no image${hint}.` },
          ...(image !== undefined && { detail: `${path.basename(image)} ${suffix}` }),
        });
      }
    }
  }
  return [...spare.values()];
}
