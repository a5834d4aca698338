import { existsSync } from 'node:fs';
import path from 'node:path';
import { datasetIds, loadDataset } from '../data/description.js';
import { isSynthetic, UnfinishedError } from '../data/markers.js';
import { datasetFolder, readSplit } from '../data/split.js';
import { UserError } from '../support/errors.js';
import { terminalTable } from '../terminal/layout.js';
import { expectedImages } from './inspect.js';

/** A described data set and what of it lies under a data root. */
export interface FoundDataset {
  readonly id: string;
  readonly name: string;
  /** Where it is, or is expected. */
  readonly folder: string;
  readonly classes: number;
  /** Images of each split; empty where the data set is not there or not whole. */
  readonly images: Readonly<Record<string, number>>;
  /** Images of each split that were prepared, generated or published; empty where nothing says so. */
  readonly expected: Readonly<Record<string, number>>;
  /** Nobody has confirmed the expected numbers. */
  readonly isUnconfirmed: boolean;
  readonly synthetic: boolean;
  /** Whether its folder is there at all. */
  readonly present: boolean;
  /** Its preparation was begun and has not come to its end. */
  readonly unfinished: boolean;
  /** Why it cannot be used, and what to do; null where it can. */
  readonly problem: string | null;
  readonly next: string | null;
}

/** Looks for every data set that the package describes. */
export async function listDatasets(dataRoot: string): Promise<FoundDataset[]> {
  const found: FoundDataset[] = [];
  for (const id of await datasetIds()) {
    const dataset = await loadDataset(id);
    const folder = datasetFolder(dataset, dataRoot);
    const base = {
      id,
      name: dataset.name,
      folder: path.resolve(folder),
      classes: dataset.classes.length,
      images: {},
      expected: dataset.published?.images ?? {},
      isUnconfirmed: dataset.published?.evidence === 'unconfirmed',
      synthetic: isSynthetic(folder),
      present: existsSync(folder),
    };
    try {
      const images: Record<string, number> = {};
      const expected = await expectedImages(dataset, folder);
      for (const split of Object.keys(dataset.splits))
        images[split] = (await readSplit(dataset, split, dataRoot)).length;
      found.push({
        ...base,
        images,
        expected: expected.images,
        isUnconfirmed: expected.isUnconfirmed,
        unfinished: false,
        problem: null,
        next: null,
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const unfinished = error instanceof UnfinishedError;
      found.push({ ...base, unfinished, problem: error.message, next: error.next ?? null });
    }
  }
  return found;
}

const HOW_TO_GET = 'fcn datasets prepare makes one of its downloads, generate a synthetic one.';

/** In a word or two, whether a data set can be used. */
function stateOf({ images, expected, isUnconfirmed, synthetic, present, unfinished, problem }: FoundDataset): string {
  if (!present) return 'not there';
  if (unfinished) return 'unfinished';
  if (problem !== null) return 'broken';
  const isWhole = Object.entries(expected).every(([split, count]) => images[split] === count);
  return `${isWhole ? 'complete' : isUnconfirmed ? 'other counts' : 'incomplete'}${synthetic ? ', synthetic' : ''}`;
}

function formatSplit({ images, expected }: FoundDataset, split: string): string {
  const [found, wanted] = [images[split], expected[split]];
  if (found === undefined) return wanted === undefined ? '–' : `– of ${wanted}`;
  return wanted === undefined || wanted === found ? String(found) : `${found} of ${wanted}`;
}

/** The described data sets and what of them is there, for a terminal. */
export function formatDatasets(datasets: readonly FoundDataset[], dataRoot: string): string {
  const table = terminalTable({
    head: ['data set', 'classes', 'train', 'val', 'state'],
    body: datasets.map((dataset) => [
      dataset.id,
      String(dataset.classes),
      formatSplit(dataset, 'train'),
      formatSplit(dataset, 'val'),
      stateOf(dataset),
    ]),
  });
  const problems = datasets.filter(({ present, problem }) => present && problem !== null);
  return [
    table,
    `Images under ${dataRoot}.`,
    ...(datasets.some(({ present }) => !present) ? [HOW_TO_GET] : []),
    ...problems.map(({ id, problem, next, unfinished }) => {
      // Nothing but the preparation itself can say more of what it has not done yet.
      return `✗ ${id}: ${problem}\n  ${unfinished ? next : `fcn datasets verify ${id} says more.`}`;
    }),
  ].join('\n');
}
