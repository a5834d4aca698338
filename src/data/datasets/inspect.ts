import { UserError } from '../../support/errors.js';
import type { Dataset } from './dataset.js';
import { type Entry, findEntries } from './find-entries.js';

/** What is wrong with a data set. */
export interface Problem {
  /** The file or folder it is about. */
  readonly file: string;
  readonly split: string;
  readonly message: string;
}

/** The pairs of a split, and what is wrong with its folders and lists. */
export interface InspectedSplit {
  readonly entries: readonly Entry[];
  readonly problems: readonly Problem[];
  /** Whether all of its folders and lists were there. */
  readonly isWhole: boolean;
}

/** Looks at the folders and lists of a split, and opens no image. */
export async function inspectSplit(dataset: Dataset, split: string, dataRoot: string): Promise<InspectedSplit> {
  const entries: Entry[] = [];
  const problems: Problem[] = [];
  const report = (file: string, message: string) => problems.push({ file, split, message });
  let isWhole = true;
  for (const source of dataset.splits[split] ?? []) {
    try {
      const found = await findEntries(dataset, source, dataRoot);
      entries.push(...found.entries);
      for (const image of found.missingImages) report(image, `${image} does not exist, but ${found.list} names it.`);
      for (const { image, label } of found.unlabelled) report(label, `${label} does not exist: ${image} has no label.`);
      for (const label of found.unpairedLabels) report(label, `${label} is the label of no image.`);
      for (const name of found.repeated) report(found.list ?? '', `${found.list} names ${name} more than once.`);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      isWhole = false;
      report(source.list ?? source.images, error.message);
    }
  }
  for (const [image, times] of countBy(entries, ({ image }) => image)) {
    if (times > 1) report(image, `${image} is in the split "${split}" ${times} times.`);
  }
  return { entries, problems, isWhole };
}

function countBy<Item>(items: readonly Item[], key: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}

/** Images that are in more than one split: what is measured on one would be known from the other. */
export function sharedImages(splits: Readonly<Record<string, InspectedSplit>>): Problem[] {
  const first = new Map<string, string>();
  const problems: Problem[] = [];
  for (const [split, { entries }] of Object.entries(splits)) {
    for (const { image } of entries) {
      const other = first.get(image);
      if (other === undefined) first.set(image, split);
      else if (other !== split) {
        problems.push({ file: image, split, message: `${image} is in the split "${other}" and in "${split}".` });
      }
    }
  }
  return problems;
}
