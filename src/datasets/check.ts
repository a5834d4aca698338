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
  readonly held: LabelContents | null;
}

/** Looks at an image and its label. */
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

/** The folders of a source; `realLabels` is the same for two links to one folder. */
interface Folders {
  readonly images: string;
  readonly labels: string;
  readonly realLabels: string;
}

/** Lists each folder once: sources share them. */
class Listings {
  private readonly known = new Map<string, Promise<string[]>>();

  of(folder: string): Promise<string[]> {
    const listing = this.known.get(folder) ?? listFiles(folder);
    this.known.set(folder, listing);
    return listing;
  }
}

function noneOfUnreadable(error: unknown): string[] {
  if (error instanceof UserError) return [];
  throw error;
}

/** The folders of a source; null where one of them does not exist. */
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

/**
 * Labels in the folders of splits that no image of any split belongs to: sources may share folders, those of one split and those
 * of two. None of folders whose sources all have a list, which need not name every image. A spare label is no sample, and stops
 * nothing; it may tell of an image that is not found.
 */
export async function spareLabels(dataset: Dataset, splits: readonly string[], dataRoot: string): Promise<Problem[]> {
  const root = datasetFolder(dataset, dataRoot);
  const listings = new Listings();
  const claimed = new Set<string>();
  for (const source of Object.values(dataset.splits).flat()) {
    const folders = await foldersOf(root, source);
    if (folders === null) continue;
    const { ofImages, ofLabels } = filesOf(folders, source);
    const names = namesOf(await listings.of(folders.images), ofImages, ofLabels);
    // What a list names and is not there is told as that, and so is a list that cannot be read.
    const listed = source.list === null ? [] : await readList(path.join(root, source.list)).catch(noneOfUnreadable);
    for (const name of [...names, ...listed]) claimed.add(path.join(folders.realLabels, name + source.labelSuffix));
  }
  const spare = new Map<string, Problem>();
  for (const split of splits) {
    for (const source of dataset.splits[split] ?? []) {
      const folders = source.list === null ? await foldersOf(root, source) : null;
      if (folders === null) continue;
      const { imageSuffix, labelSuffix } = source;
      const images = await listings.of(folders.images);
      const { ofImages, ofLabels } = filesOf(folders, source);
      for (const name of namesOf(await listings.of(folders.labels), ofLabels, ofImages)) {
        const real = path.join(folders.realLabels, name + labelSuffix);
        if (claimed.has(real) || spare.has(real)) continue;
        const label = path.join(folders.labels, name + labelSuffix);
        const other = images.find((image) => image.startsWith(`${name}.`));
        const hint = other === undefined ? '' : `: ${path.join(folders.images, other)} does not end in ${imageSuffix}`;
        spare.set(real, {
          file: label,
          split,
          kind: 'spare label',
          message: `${label} is the label of no image${hint}.`,
          ...(other !== undefined && { detail: `${path.basename(other)} does not end in ${imageSuffix}` }),
        });
      }
    }
  }
  return [...spare.values()];
}
