import type { Experiment } from '../recipe/experiment.js';
import type { RunRecord, Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { PUBLISHED } from './plan.js';

/** Splits of the data set that each stage reads. */
export const SPLITS: Readonly<Record<Stage, readonly string[]>> = {
  train: ['train'],
  evaluate: ['val'],
  'evaluate-ms': ['val'],
  benchmark: [],
};

/** The stages by which a run's samples are read: training that is evaluated reads those of an evaluation, too. */
export function readingStages({
  stages,
  evaluateEvery,
}: Pick<InputOptions, 'stages' | 'evaluateEvery'>): readonly Stage[] {
  return evaluateEvery === undefined || stages.includes('evaluate') ? stages : [...stages, 'evaluate'];
}

/** What a run reads. */
export interface InputOptions {
  readonly stages: readonly Stage[];
  /** Training iterations between two evaluations; default: no evaluation during training. */
  readonly evaluateEvery?: number | undefined;
  readonly dataRoot: string;
  /** Weights to evaluate if no stage trains: a file, or `published` for the row's own. */
  readonly weights?: string | undefined;
  /** Which dictionary of tensors in the file; default: the only one. */
  readonly weightsKey?: string | undefined;
  /** Bad samples that may be left out without ending the run. */
  readonly skipBad: number;
}

/** The data set of a run. */
interface RunData {
  /** What the record says about it. */
  readonly described: NonNullable<RunRecord['dataset']>;
  /** Hash of the names of its samples. */
  readonly names: string;
}

/**
 * Finds the data set that the stages need before anything is started.
 * @param skipBad Samples that may be left out: where it is not 0, one without a file may be among them.
 * @returns null if no stage reads data.
 * @throws UserError if it is missing, or does not fit the recipe.
 */
async function requireDataset(
  { row, model, data }: Experiment,
  stages: readonly Stage[],
  dataRoot: string,
  skipBad = 0,
): Promise<RunData | null> {
  const splits = [...new Set(stages.flatMap((stage) => SPLITS[stage]))];
  if (splits.length === 0) return null;
  const { loadDataset } = await import('../data/description.js');
  const { dataDeviations } = await import('../data/markers.js');
  const { datasetFingerprint } = await import('../data/fingerprint.js');
  const { readPrepared } = await import('../data/markers.js');
  const { publishedImages } = await import('../data/description.js');
  const { datasetFolder } = await import('../data/split.js');
  const { isSynthetic } = await import('../data/markers.js');
  const dataset = await loadDataset(data.dataset);
  if (dataset.classes.length !== model.classes) {
    throw new UserError(
      `${row}: model.classes is ${model.classes}, but the data set ${dataset.id} has ${dataset.classes.length} classes.`,
      `Use --set model.classes=${dataset.classes.length} or another data set.`,
    );
  }
  const incomplete = skipBad > 0 ? 'kept' : 'refused';
  const { names, files, images } = await datasetFingerprint(dataset, splits, dataRoot, incomplete);
  const folder = datasetFolder(dataset, dataRoot);
  const synthetic = isSynthetic(folder);
  const prepared = (await readPrepared(folder))?.deviations ?? [];
  const deviations = dataDeviations({ images, published: publishedImages(data.dataset), prepared, synthetic });
  const described = { id: dataset.id, fingerprint: files, synthetic, ...(deviations.length > 0 && { deviations }) };
  return { described, names };
}

/**
 * Checks what training needs besides data, before anything is started.
 * @throws UserError if its pretrained backbone is missing.
 */
async function requireTrainable({ model }: Experiment): Promise<void> {
  if (model.pretrained !== null) {
    const { findPretrained } = await import('../training/pretrained.js');
    findPretrained(model.pretrained);
  }
}

/**
 * Checks the weights that a run is given, without fetching any: a file is there and is a checkpoint as far as its structure
 * tells; of published ones there is a link.
 * @throws UserError if they cannot be used.
 */
async function requireWeights(
  { row, weights: url }: Experiment,
  given: string | undefined,
  key?: string,
): Promise<void> {
  if (given === undefined) return;
  if (given === PUBLISHED) {
    const { publishedFile } = await import('../weights/published.js');
    publishedFile({ row, url });
  } else {
    const { readCheckpoint } = await import('../weights/load.js');
    await readCheckpoint(given, key);
  }
}

/**
 * Checks what a run needs besides an engine, as far as that is known without reading samples.
 * @returns As `requireDataset`.
 * @throws UserError that says what is missing.
 */
export async function requireInputs(
  experiment: Experiment,
  { stages, evaluateEvery, dataRoot, weights, weightsKey, skipBad }: InputOptions,
): Promise<RunData | null> {
  if (evaluateEvery !== undefined && !stages.includes('train')) {
    throw new UserError(
      `--evaluate-every ${evaluateEvery} evaluates while training goes on, and no stage trains.`,
      'Leave it out.',
    );
  }
  const data = await requireDataset(experiment, stages, dataRoot, skipBad);
  // What the run's data set is does not depend on it: a run may be gone on with with another interval, or none.
  if (evaluateEvery !== undefined && !stages.includes('evaluate')) {
    await requireDataset(experiment, ['evaluate'], dataRoot, skipBad);
  }
  if (stages.includes('train')) await requireTrainable(experiment);
  await requireWeights(experiment, weights, weightsKey);
  return data;
}
