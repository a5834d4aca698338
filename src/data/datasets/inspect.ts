import { UserError } from '../../support/errors.js';
import type { Dataset } from './dataset.js';
import { type Entry, findEntries } from './find-entries.js';
import { explainNothing } from './nothing-found.js';
import type { Problem } from './problem.js';

/** The pairs of a split, and what is wrong with its folders and lists. */
export interface InspectedSplit {
  readonly entries: readonly Entry[];
  /** With them, in the same order, the images that have no label and those that a list names and that do not exist. */
  readonly named: readonly Entry[];
  /** Images that do not exist or lack their label: samples that cannot be used. */
  readonly missing: readonly Problem[];
  /** What is wrong with folders and lists beside that. */
  readonly irregular: readonly Problem[];
  /** Whether all of its folders and lists were there. */
  readonly isWhole: boolean;
}

/** Looks at the folders and lists of a split, and opens no image. */
export async function inspectSplit(dataset: Dataset, split: string, dataRoot: string): Promise<InspectedSplit> {
  const entries: Entry[] = [];
  const named: Entry[] = [];
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

/** Images that are in more than one split: what is measured on one would be known from the other. */
export function sharedImages(splits: Readonly<Record<string, InspectedSplit>>): Problem[] {
  const first = new Map<string, string>();
  const problems: Problem[] = [];
  for (const [split, { entries }] of Object.entries(splits)) {
    for (const { image } of entries) {
      const other = first.get(image);
      if (other === undefined) first.set(image, split);
      else if (other !== split) {
        const message = `${image} is in the split "${other}" and in "${split}".`;
        problems.push({ file: image, split, kind: 'shared image', message });
      }
    }
  }
  return problems;
}
