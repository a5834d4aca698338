import type { Experiment } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import type { InputOptions } from './preflight.js';

/** Number of images to evaluate: of the data set if it exists, or else as published. */
export async function validationImages(
  { data, evaluation }: Experiment,
  { dataRoot, skipBad }: Pick<InputOptions, 'dataRoot' | 'skipBad'>,
): Promise<number | null> {
  const { loadDataset } = await import('../data/description.js');
  const { readSplit } = await import('../data/split.js');
  const dataset = await loadDataset(data.dataset);
  const found = await readSplit(dataset, 'val', dataRoot, skipBad > 0 ? 'kept' : 'refused').catch((error) => {
    if (error instanceof UserError) return null;
    throw error;
  });
  const images = found?.length ?? dataset.published?.images['val'] ?? null;
  return images === null ? null : Math.min(images, evaluation.limit ?? images);
}
