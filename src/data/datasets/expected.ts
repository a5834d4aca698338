import { formatNumber } from '../../support/format.js';
import type { Dataset } from './dataset.js';
import { readPrepared } from './prepared.js';
import type { Problem } from './problem.js';
import { readSyntheticSettings } from './synthetic.js';

/** How many images the splits of a data set should have. */
export interface ExpectedImages {
  readonly by: 'published' | 'generated' | 'prepared';
  /** Splits of which nothing says so are left out. */
  readonly images: Readonly<Record<string, number>>;
}

/**
 * How many images the data set in a folder should have: those it was prepared with, which were compared with the numbers of its
 * downloads then; where it was not prepared by this program, those it was generated with; else the published numbers.
 */
export async function expectedImages(dataset: Dataset, folder: string): Promise<ExpectedImages> {
  const prepared = await readPrepared(folder);
  if (prepared !== null) return { by: 'prepared', images: prepared.images };
  const settings = await readSyntheticSettings(folder);
  return settings === null
    ? { by: 'published', images: dataset.published?.images ?? {} }
    : { by: 'generated', images: settings.images };
}

/** Nothing where a split has as many images as it should. */
export function countProblem(
  folder: string,
  split: string,
  images: number,
  { by, images: expected }: ExpectedImages,
): Problem[] {
  const wanted = expected[split];
  if (wanted === undefined || wanted === images) return [];
  return [
    {
      file: folder,
      split,
      kind: 'number of images',
      message: `${folder}: the split "${split}" has ${formatNumber(images, 'image')}, ${wanted} were ${by}.`,
    },
  ];
}
