import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import type { Dataset, SplitSource } from './dataset.js';
import { listFiles } from './walk.js';

/** An image with its label. */
export interface Entry {
  /** Path of the image below its folder, without the suffix. */
  readonly name: string;
  readonly image: string;
  readonly label: string;
}

async function isFolder(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch {
    return false;
  }
}

/** The data set's folder under the data root. */
export function datasetFolder(dataset: Dataset, dataRoot: string): string {
  return path.join(dataRoot, dataset.folder);
}

async function requireFolders(dataset: Dataset, dataRoot: string, source: SplitSource): Promise<void> {
  const root = datasetFolder(dataset, dataRoot);
  if (!(await isFolder(dataRoot))) {
    throw new UserError(
      `The data root ${path.resolve(dataRoot)} does not exist; ${dataset.name} was expected in ${path.resolve(root)}.`,
      `Set --data-root or FCN_DATA_ROOT. ${dataset.obtain}`,
    );
  }
  for (const [folder, what] of [
    [root, 'the data set'],
    [path.join(root, source.images), 'its images'],
    [path.join(root, source.labels), 'its labels'],
  ] as const) {
    if (await isFolder(folder)) continue;
    throw new UserError(
      `${dataset.name}: ${path.resolve(folder)}, the folder of ${what}, does not exist.`,
      dataset.obtain,
    );
  }
}

/** Names in a split list, one a line. */
async function readList(file: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

async function readSource(dataset: Dataset, dataRoot: string, source: SplitSource): Promise<Entry[]> {
  await requireFolders(dataset, dataRoot, source);
  const root = datasetFolder(dataset, dataRoot);
  const { images, labels, imageSuffix, labelSuffix } = source;
  const imageFiles = await listFiles(path.join(root, images));
  const labelFiles = new Set(await listFiles(path.join(root, labels)));
  let names = imageFiles.filter((file) => file.endsWith(imageSuffix)).map((file) => file.slice(0, -imageSuffix.length));
  if (source.list !== null) {
    const list = path.join(root, source.list);
    const present = new Set(names);
    names = (await readList(list)).sort((a, b) => (a < b ? -1 : 1));
    const missing = names.filter((name) => !present.has(name));
    if (missing.length > 0) {
      throw new UserError(
        `${list} names an image that does not exist: ${path.join(root, images, missing[0] + imageSuffix)}${andMore(missing)}.`,
        dataset.obtain,
      );
    }
  }
  const unlabelled = names.filter((name) => !labelFiles.has(name + labelSuffix));
  if (unlabelled.length > 0) {
    throw new UserError(
      `The image ${path.join(root, images, unlabelled[0] + imageSuffix)} has no label: expected ` +
        `${path.join(root, labels, unlabelled[0] + labelSuffix)}${andMore(unlabelled)}.`,
      `Add the label or remove the image. ${dataset.obtain}`,
    );
  }
  return names.map((name) => ({
    name,
    image: path.join(root, images, name + imageSuffix),
    label: path.join(root, labels, name + labelSuffix),
  }));
}

function andMore(names: readonly string[]): string {
  return names.length > 1 ? ` (and ${names.length - 1} more)` : '';
}

/**
 * The images of a split with their labels; of each source sorted by name.
 * @throws UserError for a missing data root or folder, an image without a label, an empty split, or an unknown one.
 */
export async function readSplit(dataset: Dataset, split: string, dataRoot: string): Promise<Entry[]> {
  const sources = dataset.splits[split];
  if (!sources) {
    throw new UserError(
      `${dataset.name} has no split "${split}". Known: ${Object.keys(dataset.splits).join(', ')}.`,
      'Give one of these.',
    );
  }
  const entries: Entry[] = [];
  for (const source of sources) entries.push(...(await readSource(dataset, dataRoot, source)));
  if (entries.length === 0) {
    const { images, imageSuffix } = sources[0]!;
    throw new UserError(
      `${dataset.name}: no image *${imageSuffix} in ${path.resolve(datasetFolder(dataset, dataRoot), images)}.`,
      dataset.obtain,
    );
  }
  return entries;
}
