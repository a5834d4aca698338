import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError, isFolder } from '../../support/files.js';
import type { Dataset, SplitSource } from './dataset.js';
import { listFiles } from './walk.js';

/** An image with its label. */
export interface Entry {
  /** Path of the image below its folder, without the suffix. */
  readonly name: string;
  readonly image: string;
  readonly label: string;
}

/** What lies in the folders of a source: the pairs, sorted by name, and images that lack their label. */
export interface FoundEntries {
  readonly entries: readonly Entry[];
  /** With them, in the same order, the images that have no label and those that the list names and that do not exist. */
  readonly named: readonly Entry[];
  /** The source's folders. */
  readonly folders: { readonly images: string; readonly labels: string };
  /** The source's list; null where it has none. */
  readonly list: string | null;
  /** Images that the list names and that do not exist. */
  readonly missingImages: readonly string[];
  /** Images that should have a label, and where it was expected. */
  readonly unlabelled: readonly Entry[];
  /** Names that the list holds more than once. */
  readonly repeated: readonly string[];
}

/** The data set's folder under the data root. */
export function datasetFolder(dataset: Dataset, dataRoot: string): string {
  return path.join(dataRoot, dataset.folder);
}

/** @throws UserError where the data root or the data set's folder in it does not exist. */
export async function requireDatasetFolder(dataset: Dataset, dataRoot: string): Promise<void> {
  const root = datasetFolder(dataset, dataRoot);
  if (!(await isFolder(dataRoot))) {
    throw new UserError(
      `The data root ${path.resolve(dataRoot)} does not exist; ${dataset.name} was expected in ${path.resolve(root)}.`,
      `Set --data-root or FCN_DATA_ROOT. ${dataset.obtain}`,
    );
  }
  await requireFolder(dataset, root, 'the data set');
}

async function requireFolder(dataset: Dataset, folder: string, what: string): Promise<void> {
  if (await isFolder(folder)) return;
  throw new UserError(
    `${dataset.name}: ${path.resolve(folder)}, the folder of ${what}, does not exist.`,
    dataset.obtain,
  );
}

/** Whether a name in a list leads into the folder that it is a name in, as files found there are called. */
function isBelow(name: string): boolean {
  if (path.posix.isAbsolute(name) || /^[A-Za-z]:|\\/.test(name)) return false;
  return path.posix.normalize(name) === name && name !== '..' && !name.startsWith('../');
}

/**
 * Names in a split list, one a line, sorted.
 * @throws UserError where the list cannot be read, or a name leads elsewhere.
 */
export async function readList(file: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  const lines = text.split('\n').map((line) => line.trim());
  const wrong = lines.findIndex((line) => line !== '' && !isBelow(line));
  if (wrong !== -1) {
    throw new UserError(
      `${file}:${wrong + 1}: ${lines[wrong]} is not the name of an image below the folder of images.`,
      'Write paths below it, with forward slashes and without "." and "..".',
    );
  }
  return lines.filter((line) => line !== '').sort((a, b) => (a < b ? -1 : 1));
}

/** Names of the files of a folder that end in a suffix, without it. */
function namesOf(files: readonly string[], suffix: string): string[] {
  return files.filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length));
}

/**
 * Looks into the folders of a source.
 * @throws UserError for a folder or list that does not exist.
 */
export async function findEntries(dataset: Dataset, source: SplitSource, dataRoot: string): Promise<FoundEntries> {
  await requireDatasetFolder(dataset, dataRoot);
  const root = datasetFolder(dataset, dataRoot);
  const { imageSuffix, labelSuffix } = source;
  const images = path.join(root, source.images);
  const labels = path.join(root, source.labels);
  await requireFolder(dataset, images, 'its images');
  await requireFolder(dataset, labels, 'its labels');
  const list = source.list === null ? null : path.join(root, source.list);
  const listed = list === null ? null : await readList(list);

  const present = namesOf(await listFiles(images), imageSuffix);
  const labelled = namesOf(await listFiles(labels), labelSuffix);
  const isPresent = new Set(present);
  const isLabelled = new Set(labelled);
  const names = listed ?? present;
  const entry = (name: string): Entry => ({
    name,
    image: path.join(images, name + imageSuffix),
    label: path.join(labels, name + labelSuffix),
  });
  const isThere = names.filter((name) => isPresent.has(name));
  return {
    entries: isThere.filter((name) => isLabelled.has(name)).map(entry),
    named: names.map(entry),
    folders: { images, labels },
    list,
    missingImages: names.filter((name) => !isPresent.has(name)).map((name) => entry(name).image),
    unlabelled: isThere.filter((name) => !isLabelled.has(name)).map(entry),
    // Sorted, so that the same names stand side by side.
    repeated: [...new Set(names.filter((name, i) => name === names[i - 1]))],
  };
}
