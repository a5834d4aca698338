import type { Dirent, Stats } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError, isFolder } from '../support/files.js';
import { formatNumber } from '../support/format.js';
import type { Dataset, SplitSource } from './dataset.js';
import { requirePrepared } from './markers.js';

async function readFolder(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    throw explainFileError(error, folder, 'read');
  }
}

/** What a link leads to; null where that does not exist. */
async function follow(link: string): Promise<Stats | null> {
  try {
    return await stat(link);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP') return null;
    throw explainFileError(error, link, 'read');
  }
}

/**
 * Files of a folder and its subfolders, links followed, hidden ones, links to nothing and links to a folder that they are in
 * left out: paths relative to it with forward slashes, sorted by character code.
 * @throws UserError for a folder that cannot be read.
 */
export async function listFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  /** `above`: the real paths of the folder and those that it was reached through. */
  const visit = async (relative: string, above: readonly string[]): Promise<void> => {
    for (const entry of await readFolder(path.join(folder, relative))) {
      if (entry.name.startsWith('.')) continue;
      const inner = relative === '' ? entry.name : `${relative}/${entry.name}`;
      const full = path.join(folder, inner);
      const isLink = entry.isSymbolicLink();
      const kind = isLink ? await follow(full) : entry;
      if (kind?.isFile()) found.push(inner);
      if (!kind?.isDirectory()) continue;
      const real = isLink ? await realpath(full) : path.join(above.at(-1)!, entry.name);
      if (!above.includes(real)) await visit(inner, [...above, real]);
    }
  };
  await visit('', [await realpath(folder).catch(() => folder)]);
  return found.sort((a, b) => (a < b ? -1 : 1));
}

/** Suffixes that are named; rarer ones are counted. */
const MOST_SUFFIXES = 3;

/** What a folder holds, for people who look for other files: "the folder holds 4 *.JPG and 1 *.txt, such as a.JPG". */
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
  const all = named.length === 1 ? named[0] : `${named.slice(0, -1).join(', ')} and ${named.at(-1)}`;
  const example = files.find((file) => path.posix.extname(file) === sorted[0]![0])!;
  return `the folder holds ${all}, such as ${example}`;
}

/** Why a source has no image with its label, and what is there instead: a sentence. Null where it has one. */
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

/** An image with its label. */
export interface Entry {
  /** Path of the image below its folder, without the suffix. */
  readonly name: string;
  readonly image: string;
  readonly label: string;
}

/** What lies in the folders of a source: the pairs, sorted by name, and images that lack their label. */
interface FoundEntries {
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

/** Where the images of a source lie, or its labels, and how their names end. */
interface NamedFiles {
  readonly folder: string;
  readonly suffix: string;
}

/**
 * Names of the images of a source, or of its labels, without their suffix.
 *
 * Images and labels may lie in one folder, or one kind in a folder below the other's. A file that is of the other kind by its
 * folder and suffix is left out: of "a.png" and "a_label.png" in one folder, with these suffixes, only the first is an image.
 * @param files All files below the folder.
 */
export function namesOf(files: readonly string[], { folder, suffix }: NamedFiles, other: NamedFiles): string[] {
  const below = path.relative(folder, other.folder).replaceAll(path.sep, '/');
  const isNarrower = other.suffix !== suffix && other.suffix.endsWith(suffix);
  const isOther = (file: string) => {
    if (below === '') return isNarrower && file.endsWith(other.suffix);
    return !below.startsWith('..') && file.startsWith(`${below}/`) && file.endsWith(other.suffix);
  };
  return files.filter((file) => file.endsWith(suffix) && !isOther(file)).map((file) => file.slice(0, -suffix.length));
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

  const ofImages = { folder: images, suffix: imageSuffix };
  const ofLabels = { folder: labels, suffix: labelSuffix };
  const present = namesOf(await listFiles(images), ofImages, ofLabels);
  const labelled = namesOf(await listFiles(labels), ofLabels, ofImages);
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

/**
 * The sources of a split.
 * @throws UserError for a split that the data set does not have.
 */
function splitSources(dataset: Dataset, split: string): readonly SplitSource[] {
  if (Object.hasOwn(dataset.splits, split)) return dataset.splits[split]!;
  throw new UserError(
    `${dataset.name} has no split "${split}". Known: ${Object.keys(dataset.splits).join(', ')}.`,
    'Give one of these.',
  );
}

const NEXT_SUFFIX =
  'Mend folders and suffixes in the description of the data set (upper case counts), or add the files.';

const LEAVE_OUT = 'A run may leave out up to N such samples with --skip-bad N.';

/**
 * What becomes of a sample whose image or label is missing. `kept`: it is a sample like any other, which cannot be read; so the
 * others keep their places.
 */
export type Incomplete = 'refused' | 'kept';

async function readSource(
  dataset: Dataset,
  dataRoot: string,
  source: SplitSource,
  incomplete: Incomplete,
): Promise<readonly Entry[]> {
  const found = await findEntries(dataset, source, dataRoot);
  const { entries, named, list, missingImages, unlabelled } = found;
  if (incomplete === 'kept') return named;
  // Of many files that are missing because they are called otherwise, this says more.
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
 * The images of a split with their labels; of each source sorted by name.
 * @throws UserError for a missing data root or folder, a preparation that is not finished, an image without a label (unless
 * `incomplete` is 'kept'), an empty split, or an unknown one.
 */
export async function readSplit(
  dataset: Dataset,
  split: string,
  dataRoot: string,
  incomplete: Incomplete = 'refused',
): Promise<Entry[]> {
  await requirePrepared(datasetFolder(dataset, dataRoot));
  return readUnfinishedSplit(dataset, split, dataRoot, incomplete);
}

/** As `readSplit`, but while the data set is being prepared. */
export async function readUnfinishedSplit(
  dataset: Dataset,
  split: string,
  dataRoot: string,
  incomplete: Incomplete = 'refused',
): Promise<Entry[]> {
  const sources = splitSources(dataset, split);
  const entries: Entry[] = [];
  for (const source of sources) entries.push(...(await readSource(dataset, dataRoot, source, incomplete)));
  if (entries.length === 0) {
    const [source] = sources as [SplitSource];
    const nothing = await explainNothing(source, await findEntries(dataset, source, dataRoot));
    throw new UserError(`${dataset.name}: ${nothing}`, `${NEXT_SUFFIX} ${dataset.obtain}`);
  }
  return entries;
}
