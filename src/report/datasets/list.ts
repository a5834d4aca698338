import type { FoundDataset } from '../../data/datasets/list.js';
import { terminalTable } from '../layout.js';

const HOW_TO_GET = 'fcn datasets prepare makes one of its downloads, generate a synthetic one.';

/** In a word or two, whether a data set can be used. */
function stateOf({ images, expected, synthetic, present, unfinished, problem }: FoundDataset): string {
  if (!present) return 'not there';
  if (unfinished) return 'unfinished';
  if (problem !== null) return 'broken';
  const isWhole = Object.entries(expected).every(([split, count]) => images[split] === count);
  return `${isWhole ? 'complete' : 'incomplete'}${synthetic ? ', synthetic' : ''}`;
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
