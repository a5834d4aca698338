import type { Experiment } from '../experiments/experiment.js';
import { UserError } from '../support/errors.js';
import type { RunRecord } from './record.js';
import type { Stage } from './stage-names.js';

/** Splits of the data set that each stage reads. */
export const SPLITS: Readonly<Record<Stage, readonly string[]>> = {
  train: ['train'],
  evaluate: ['val'],
  'evaluate-ms': ['val'],
  benchmark: [],
};

/**
 * Finds the data set that the stages need before anything is started.
 * @returns What the record says about it; null where no stage reads data.
 * @throws UserError where it is missing, or does not fit the recipe.
 */
export async function requireDataset(
  { row, model, data }: Experiment,
  stages: readonly Stage[],
  dataRoot: string,
): Promise<RunRecord['dataset']> {
  const splits = [...new Set(stages.flatMap((stage) => SPLITS[stage]))];
  if (splits.length === 0) return null;
  const { loadDataset } = await import('../data/datasets/description.js');
  const { datasetFingerprint } = await import('../data/datasets/list.js');
  const { datasetFolder } = await import('../data/datasets/read-split.js');
  const { isSynthetic } = await import('../data/datasets/synthetic.js');
  const dataset = await loadDataset(data.dataset);
  if (dataset.classes.length !== model.classes) {
    throw new UserError(
      `${row}: model.classes is ${model.classes}, but the data set ${dataset.id} has ${dataset.classes.length} classes.`,
      `Use --set model.classes=${dataset.classes.length} or another data set.`,
    );
  }
  return {
    id: dataset.id,
    fingerprint: await datasetFingerprint(dataset, splits, dataRoot),
    synthetic: isSynthetic(datasetFolder(dataset, dataRoot)),
  };
}

/**
 * Checks what training needs besides data, before anything is started.
 * @throws UserError where its pretrained backbone is missing.
 */
export async function requireTrainable({ model }: Experiment): Promise<void> {
  if (model.pretrained !== null) {
    const { findPretrained } = await import('../training/pretrained.js');
    findPretrained(model.pretrained);
  }
}
