import { existsSync } from 'node:fs';
import path from 'node:path';
import { datasetIds, loadDataset } from '../data/description.js';
import { isSynthetic, UnfinishedError } from '../data/markers.js';
import { datasetFolder, readSplit } from '../data/split.js';
import { UserError } from '../support/errors.js';
import { terminalTable } from '../terminal/layout.js';
import { expectedImages } from './inspect.js';

/** A described data set, and whether it is under the data root. */
export interface FoundDataset {
  readonly id: string;
  readonly name: string;
  /** Where it is or should be. */
  readonly folder: string;
  readonly classes: number;
  /** Images of each split; empty if the data set cannot be used. */
  readonly images: Readonly<Record<string, number>>;
  /** Images of each split that were prepared, generated or published; empty if that is not known. */
  readonly expected: Readonly<Record<string, number>>;
  /** Nobody has confirmed the expected numbers. */
  readonly isUnconfirmed: boolean;
  readonly synthetic: boolean;
  /** Whether its folder exists. */
  readonly present: boolean;
  /** Whether its preparation was begun and is not finished. */
  readonly unfinished: boolean;
  /** Why it cannot be used, and what to do; null if it can be used. */
  readonly problem: string | null;
  readonly next: string | null;
}

async function findDataset(id: string, dataRoot: string): Promise<FoundDataset> {
  const dataset = await loadDataset(id);
  const folder = datasetFolder(dataset, dataRoot);
  const found: FoundDataset = {
    id,
    name: dataset.name,
    folder: path.resolve(folder),
    classes: dataset.classes.length,
    images: {},
    expected: dataset.published?.images ?? {},
    isUnconfirmed: dataset.published?.evidence === 'unconfirmed',
    synthetic: isSynthetic(folder),
    present: existsSync(folder),
    unfinished: false,
    problem: null,
    next: null,
  };
  try {
    const { images: expected, isUnconfirmed } = await expectedImages(dataset, folder);
    const images: Record<string, number> = {};
    for (const split of Object.keys(dataset.splits)) images[split] = (await readSplit(dataset, split, dataRoot)).length;
    return { ...found, images, expected, isUnconfirmed };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const unfinished = error instanceof UnfinishedError;
    return { ...found, unfinished, problem: error.message, next: error.next ?? null };
  }
}

/** Looks for every data set that the package describes. */
export async function listDatasets(dataRoot: string): Promise<FoundDataset[]> {
  const found: FoundDataset[] = [];
  for (const id of await datasetIds()) found.push(await findDataset(id, dataRoot));
  return found;
}

const HOW_TO_GET = 'fcn datasets prepare makes one from its downloads, fcn datasets generate makes a synthetic one.';

/** Whether a data set can be used, in a word or two. */
function stateOf({ images, expected, isUnconfirmed, synthetic, present, unfinished, problem }: FoundDataset): string {
  if (!present) return 'missing';
  if (unfinished) return 'unfinished';
  if (problem !== null) return 'broken';
  const isComplete = Object.entries(expected).every(([split, count]) => images[split] === count);
  return `${isComplete ? 'complete' : isUnconfirmed ? 'other counts' : 'incomplete'}${synthetic ? ', synthetic' : ''}`;
}

function formatSplit({ images, expected }: FoundDataset, split: string): string {
  const [found, wanted] = [images[split], expected[split]];
  if (found === undefined) return wanted === undefined ? '–' : `– of ${wanted}`;
  return wanted === undefined || wanted === found ? String(found) : `${found} of ${wanted}`;
}

/** The described data sets and their state, for a terminal. */
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
      // verify refuses an unfinished data set.
      return `✗ ${id}: ${problem}\n  ${unfinished ? next : `fcn datasets verify ${id} says more.`}`;
    }),
  ].join('\n');
}
