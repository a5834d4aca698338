import type { Dataset } from '../data/dataset.js';
import type { Size } from '../data/image.js';
import { readLabels } from '../data/samples.js';
import type { SplitEntry } from '../data/split.js';

/** The size of a label map, and its pixel counts. */
export interface LabelCounts extends Size {
  /** [256]: pixels of each training id. */
  readonly counts: Uint32Array<ArrayBuffer>;
}

/** Counts the classes in the labels of an image. @throws UserError for a missing or broken file. */
export async function countLabels({ label }: SplitEntry, dataset: Dataset): Promise<LabelCounts> {
  const { height, width, data } = await readLabels(label, dataset);
  const counts = new Uint32Array(256);
  for (const id of data) counts[id]!++;
  return { height, width, counts };
}
