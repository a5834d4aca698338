import type { Dataset } from '../data/dataset.js';
import { readPrepared, readSyntheticSettings } from '../data/markers.js';
import type { Problem } from '../data/problem.js';
import { explainNothing, findEntries, type SplitEntry } from '../data/split.js';
import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';

/** The images of a split with their labels, and what is wrong with its folders and lists. */
export interface InspectedSplit {
  readonly entries: readonly SplitEntry[];
  /** `entries`, and in the same order images without a label and images that only a list names. */
  readonly named: readonly SplitEntry[];
  /** Samples that cannot be used, because their image or label does not exist. */
  readonly missing: readonly Problem[];
  /** All other problems with folders and lists. */
  readonly irregular: readonly Problem[];
  /** Whether all of its folders and lists were there. */
  readonly isWhole: boolean;
}

/** Checks the folders and lists of a split without opening an image. */
export async function inspectSplit(dataset: Dataset, split: string, dataRoot: string): Promise<InspectedSplit> {
  const entries: SplitEntry[] = [];
  const named: SplitEntry[] = [];
  const missing: Problem[] = [];
  const irregular: Problem[] = [];
  const problem = (kind: Problem['kind'], file: string, message: string, detail?: string): Problem => ({
    ...{ file, split, kind, message },
    ...(detail !== undefined && { detail }),
  });
  let isWhole = true;
  for (const source of dataset.splits[split] ?? []) {
    try {
      const found = await findEntries(dataset, source, dataRoot);
      const { list } = found;
      entries.push(...found.entries);
      named.push(...found.named);
      missing.push(
        ...found.missingImages.map((image) =>
          problem('missing image', image, `${image} does not exist, but ${list} names it.`),
        ),
        ...found.unlabelled.map(({ image, label }) =>
          problem('missing label', label, `${label} does not exist: ${image} has no label.`),
        ),
      );
      const nothing = await explainNothing(source, found);
      if (nothing !== null) {
        const message = `The split "${split}": ${nothing}`;
        irregular.push(problem('no image', found.folders.images, message));
      }
      irregular.push(
        ...found.repeated.map((name) =>
          problem('repeated name', list ?? '', `${list} names ${name} more than once.`, name),
        ),
      );
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      isWhole = false;
      irregular.push(problem('folder', source.list ?? source.images, error.message));
    }
  }
  for (const [image, times] of countBy(entries, ({ image }) => image)) {
    if (times <= 1) continue;
    irregular.push(problem('repeated image', image, `${image} is in the split "${split}" ${times} times.`));
  }
  return { entries, named, missing, irregular, isWhole };
}

function countBy<Item>(items: readonly Item[], key: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}

/**
 * Images that are in more than one split: one split would be trained on what the other measures. So would images that share a label:
 * they are one picture in two files.
 */
export function sharedImages(splits: Readonly<Record<string, InspectedSplit>>): Problem[] {
  const splitOf = { image: new Map<string, string>(), label: new Map<string, string>() };
  /** The split that had the file first, if that is another one. */
  const earlierSplit = (kind: 'image' | 'label', file: string, split: string) => {
    const earlier = splitOf[kind].get(file);
    if (earlier === undefined) splitOf[kind].set(file, split);
    return earlier === split ? undefined : earlier;
  };
  const problems: Problem[] = [];
  for (const [split, { entries }] of Object.entries(splits)) {
    for (const { image, label } of entries) {
      const ofImage = earlierSplit('image', image, split);
      const ofLabel = earlierSplit('label', label, split);
      if (ofImage !== undefined) {
        const message = `${image} is in the split "${ofImage}" and in "${split}".`;
        problems.push({ file: image, split, kind: 'shared image', message });
      } else if (ofLabel !== undefined) {
        const message = `${label} is the label of an image in the split "${ofLabel}" and of ${image} in "${split}".`;
        problems.push({ file: label, split, kind: 'shared label', message });
      }
    }
  }
  return problems;
}

/** How many images the splits of a data set should have. */
export interface ExpectedImages {
  readonly by: 'published' | 'generated' | 'prepared';
  /** Nobody has confirmed the published numbers: another number is a warning, not a problem. */
  readonly isUnconfirmed: boolean;
  /** By split, if the number is known. */
  readonly images: Readonly<Record<string, number>>;
}

/**
 * How many images the data set in a folder should have: as many as it was prepared with (that number was compared with the
 * expected one then), or else generated with, or else as published.
 */
export async function expectedImages(dataset: Dataset, folder: string): Promise<ExpectedImages> {
  const prepared = await readPrepared(folder);
  if (prepared !== null) return { by: 'prepared', isUnconfirmed: false, images: prepared.images };
  const settings = await readSyntheticSettings(folder);
  if (settings !== null) return { by: 'generated', isUnconfirmed: false, images: settings.images };
  const { images = {}, evidence } = dataset.published ?? {};
  return { by: 'published', isUnconfirmed: evidence === 'unconfirmed', images };
}

/** A problem if a split does not have as many images as it should. */
export function countProblem(
  folder: string,
  split: string,
  images: number,
  { by, isUnconfirmed, images: expected }: ExpectedImages,
): Problem[] {
  const wanted = expected[split];
  if (wanted === undefined || wanted === images) return [];
  const should = isUnconfirmed
    ? `${wanted} are expected, but nobody has confirmed that number`
    : `${wanted} were ${by}`;
  const message = `${folder}: the split "${split}" has ${formatNumber(images, 'image')}, ${should}.`;
  return [{ file: folder, split, kind: 'number of images', message }];
}
