import path from 'node:path';
import { UserError } from '../support/errors.js';
import { isFolder } from '../support/files.js';
import { formatNumber, listNames } from '../support/format.js';
import type { Dataset, SplitSource } from './dataset.js';
import { listFiles, readBytes } from './files.js';
import { requirePrepared } from './markers.js';

/** Most suffixes that a message names; rarer ones are counted. */
const MOST_SUFFIXES = 3;

/** What a folder holds instead of the expected files: "the folder holds 4 *.JPG and 1 *.txt, such as a.JPG". */
async function describeFolder(folder: string): Promise<string> {
  const files = await listFiles(folder);
  if (files.length === 0) return 'the folder is empty';
  const counts = new Map<string, number>();
  for (const file of files) {
    const suffix = path.posix.extname(file);
    counts.set(suffix, (counts.get(suffix) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const named = sorted
    .slice(0, MOST_SUFFIXES)
    .map(([suffix, count]) =>
      suffix === '' ? `${formatNumber(count, 'file')} without a suffix` : `${count} *${suffix}`,
    );
  const others = sorted.slice(MOST_SUFFIXES).reduce((sum, [, count]) => sum + count, 0);
  if (others > 0) named.push(formatNumber(others, 'other file'));
  const example = files.find((file) => path.posix.extname(file) === sorted[0]![0])!;
  return `the folder holds ${listNames(named)}, such as ${example}`;
}

/** Why a source has no image with its label, and what it has instead: a sentence. Null if it has one. */
export async function explainNothing(
  { imageSuffix, labelSuffix }: SplitSource,
  { entries, named, list, folders, missingImages }: FoundEntries,
): Promise<string | null> {
  if (entries.length > 0) return null;
  const { images, labels } = folders;
  if (named.length === 0 && list !== null) return `${list} names no image.`;
  if (named.length === 0) return `no image *${imageSuffix} in ${images}; ${await describeFolder(images)}.`;
  if (missingImages.length === named.length) {
    return `no image that ${list} names is in ${images}, as NAME${imageSuffix}; ${await describeFolder(images)}.`;
  }
  return `no image has a label in ${labels}, as NAME${labelSuffix}; ${await describeFolder(labels)}.`;
}

/** An image of a split and its label. */
export interface SplitEntry {
  /** Path of the image relative to its folder, without the suffix. */
  readonly name: string;
  readonly image: string;
  readonly label: string;
}

/** What the folders of a source contain. */
interface FoundEntries {
  /** Images with their label, sorted by name. */
  readonly entries: readonly SplitEntry[];
  /** All that the list names, or all images if there is no list: `entries` and those whose image or label is missing. */
  readonly named: readonly SplitEntry[];
  /** The source's folders. */
  readonly folders: { readonly images: string; readonly labels: string };
  /** The source's list; null if it has none. */
  readonly list: string | null;
  /** Images that the list names and that do not exist. */
  readonly missingImages: readonly string[];
  /** Images without a label, and the path where it was expected. */
  readonly unlabelled: readonly SplitEntry[];
  /** Names that the list contains more than once. */
  readonly repeated: readonly string[];
}

/** The data set's folder under the data root. */
export function datasetFolder(dataset: Dataset, dataRoot: string): string {
  return path.join(dataRoot, dataset.folder);
}

/** @throws UserError if the data root or the data set's folder in it does not exist. */
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

/** Whether a name in a list is the normalised path of a file below the list's folder. */
function isBelow(name: string): boolean {
  if (path.posix.isAbsolute(name) || /^[A-Za-z]:|\\/.test(name)) return false;
  return path.posix.normalize(name) === name && name !== '..' && !name.startsWith('../');
}

/** Whether a line of a split list can name an image: the line is read as just this name, of a file below the list's folder. */
export function isListable(name: string): boolean {
  return name !== '' && !name.includes('\n') && name.trim() === name && isBelow(name);
}

/**
 * Names in a split list, one a line, sorted.
 * @throws UserError if the list cannot be read, or a name is not below the folder of images.
 */
export async function readList(file: string): Promise<string[]> {
  const lines = (await readBytes(file))
    .toString()
    .split('\n')
    .map((line) => line.trim());
  const wrong = lines.findIndex((line) => line !== '' && !isBelow(line));
  if (wrong !== -1) {
    throw new UserError(
      `${file}:${wrong + 1}: ${lines[wrong]} is not the name of an image below the folder of images.`,
      'Write paths below it, with forward slashes and without "." and "..".',
    );
  }
  return lines.filter((line) => line !== '').sort((a, b) => (a < b ? -1 : 1));
}

/** The images or the labels of a source: their folder, and how their names end. */
interface NamedFiles {
  readonly folder: string;
  readonly suffix: string;
}

/**
 * Names of the images of a source, or of its labels, without their suffix.
 *
 * Images and labels may share a folder, or one folder may contain the other. A file whose folder and suffix are those of the
 * other kind is left out: of "a.png" and "a_label.png" in one folder, only the first is an image.
 * @param files All files below the folder.
 * @param others The labels if these are images, and the other way round.
 */
export function namesOf(files: readonly string[], { folder, suffix }: NamedFiles, others: NamedFiles): string[] {
  const below = path.relative(folder, others.folder).replaceAll(path.sep, '/');
  const isNarrower = others.suffix !== suffix && others.suffix.endsWith(suffix);
  const isOther = (file: string) => {
    if (below === '') return isNarrower && file.endsWith(others.suffix);
    return !below.startsWith('..') && file.startsWith(`${below}/`) && file.endsWith(others.suffix);
  };
  return files.filter((file) => file.endsWith(suffix) && !isOther(file)).map((file) => file.slice(0, -suffix.length));
}

/** Looks for the images and labels of a source. @throws UserError if a folder or the list does not exist. */
export async function findEntries(dataset: Dataset, source: SplitSource, dataRoot: string): Promise<FoundEntries> {
  await requireDatasetFolder(dataset, dataRoot);
  const root = datasetFolder(dataset, dataRoot);
  const { imageSuffix, labelSuffix } = source;
  const images = path.join(root, source.images);
  const labels = path.join(root, source.labels);
  await requireFolder(dataset, images, 'its images');
  await requireFolder(dataset, labels, 'its labels');
  const list = source.list === null ? null : path.resolve(root, source.list);
  const listed = list === null ? null : await readList(list);

  const ofImages = { folder: images, suffix: imageSuffix };
  const ofLabels = { folder: labels, suffix: labelSuffix };
  const present = namesOf(await listFiles(images), ofImages, ofLabels);
  const labelled = namesOf(await listFiles(labels), ofLabels, ofImages);
  const isPresent = new Set(present);
  const isLabelled = new Set(labelled);
  const names = listed ?? present;
  const entry = (name: string): SplitEntry => ({
    name,
    image: path.join(images, name + imageSuffix),
    label: path.join(labels, name + labelSuffix),
  });
  const existing = names.filter((name) => isPresent.has(name));
  return {
    entries: existing.filter((name) => isLabelled.has(name)).map(entry),
    named: names.map(entry),
    folders: { images, labels },
    list,
    missingImages: names.filter((name) => !isPresent.has(name)).map((name) => entry(name).image),
    unlabelled: existing.filter((name) => !isLabelled.has(name)).map(entry),
    // Names are sorted, so equal ones are neighbours.
    repeated: [...new Set(names.filter((name, i) => name === names[i - 1]))],
  };
}

/** @throws UserError if the data set has no such split. */
function splitSources(dataset: Dataset, split: string): readonly SplitSource[] {
  if (Object.hasOwn(dataset.splits, split)) return dataset.splits[split]!;
  throw new UserError(
    `${dataset.name} has no split "${split}". Known: ${Object.keys(dataset.splits).join(', ')}.`,
    'Give one of these.',
  );
}

const NEXT_SUFFIX = 'Fix folders and suffixes in the description of the data set (case matters), or add the files.';

const LEAVE_OUT = 'A run may leave out up to N such samples with --skip-bad N.';

/** A sample whose image or label is missing is an error, or kept as one that cannot be read, so that the others keep their numbers. */
export type Incomplete = 'refused' | 'kept';

async function readSource(
  dataset: Dataset,
  dataRoot: string,
  source: SplitSource,
  incomplete: Incomplete,
): Promise<readonly SplitEntry[]> {
  const found = await findEntries(dataset, source, dataRoot);
  const { entries, named, list, missingImages, unlabelled } = found;
  if (incomplete === 'kept') return named;
  // If files are missing because they have other names, this says more than the errors below.
  const nothing = named.length > 0 ? await explainNothing(source, found) : null;
  if (nothing !== null) throw new UserError(`${dataset.name}: ${nothing}`, `${NEXT_SUFFIX} ${dataset.obtain}`);
  if (missingImages.length > 0) {
    throw new UserError(
      `${list} names an image that does not exist: ${missingImages[0]}${andMore(missingImages)}.`,
      `${dataset.obtain} ${LEAVE_OUT}`,
    );
  }
  if (unlabelled.length > 0) {
    const { image, label } = unlabelled[0]!;
    throw new UserError(
      `The image ${image} has no label: expected ${label}${andMore(unlabelled)}.`,
      `Add the label or remove the image. ${LEAVE_OUT} ${dataset.obtain}`,
    );
  }
  return entries;
}

function andMore(files: readonly unknown[]): string {
  return files.length > 1 ? ` (and ${files.length - 1} more)` : '';
}

/**
 * The images of a split with their labels, source by source, each sorted by name.
 * @throws UserError for a missing data root or folder, an unfinished preparation, an image without a label (unless `incomplete`
 * is 'kept'), an empty split, or an unknown one.
 */
export async function readSplit(
  dataset: Dataset,
  split: string,
  dataRoot: string,
  incomplete: Incomplete = 'refused',
): Promise<SplitEntry[]> {
  await requirePrepared(datasetFolder(dataset, dataRoot));
  return readUnfinishedSplit(dataset, split, dataRoot, incomplete);
}

/** Like `readSplit`, for a data set that is being prepared. */
export async function readUnfinishedSplit(
  dataset: Dataset,
  split: string,
  dataRoot: string,
  incomplete: Incomplete = 'refused',
): Promise<SplitEntry[]> {
  const sources = splitSources(dataset, split);
  const entries: SplitEntry[] = [];
  for (const source of sources) entries.push(...(await readSource(dataset, dataRoot, source, incomplete)));
  if (entries.length === 0) {
    const [source] = sources as [SplitSource];
    const nothing = await explainNothing(source, await findEntries(dataset, source, dataRoot));
    throw new UserError(`${dataset.name}: ${nothing}`, `${NEXT_SUFFIX} ${dataset.obtain}`);
  }
  return entries;
}
