import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset, SplitSource } from '../data/dataset.js';
import type { Problem } from '../data/problem.js';
import { datasetFolder, listFiles, namesOf, readList } from '../data/split.js';
import { UserError } from '../support/errors.js';
import { isFolder } from '../support/files.js';

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
