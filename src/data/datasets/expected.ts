import { formatNumber } from '../../support/format.js';
import type { Dataset } from './dataset.js';
import type { Problem } from './problem.js';
import type { SyntheticSettings } from './synthetic.js';

/** How many images the splits of a data set should have. */
export interface ExpectedImages {
  readonly by: 'published' | 'generated';
  /** Splits of which nothing says so are left out. */
  readonly images: Readonly<Record<string, number>>;
}

/** The published numbers; of a data set that was painted by this program, those it was made with. */
export function expectedImages(dataset: Dataset, settings: SyntheticSettings | null): ExpectedImages {
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
