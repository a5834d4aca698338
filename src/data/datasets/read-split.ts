import { UserError } from '../../support/errors.js';
import type { Dataset, SplitSource } from './dataset.js';
import { datasetFolder, type Entry, findEntries } from './find-entries.js';
import { explainNothing } from './nothing-found.js';
import { requirePrepared } from './prepared.js';

export { datasetFolder, type Entry };

/**
 * The sources of a split.
 * @throws UserError for a split that the data set does not have.
 */
export function splitSources(dataset: Dataset, split: string): readonly SplitSource[] {
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
