import type { Experiment } from '../recipe/experiment.js';
import type { RunRecord, Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { PUBLISHED } from './plan.js';

const SPLITS: Readonly<Record<Stage, readonly string[]>> = {
  train: ['train'],
  evaluate: ['val'],
  'evaluate-ms': ['val'],
  benchmark: [],
};

/** Splits of the data set that stages read. */
export function splitsOf(stages: readonly Stage[]): string[] {
  return [...new Set(stages.flatMap((stage) => SPLITS[stage]))];
}

/** The stages whose samples a run reads: evaluation during training reads those of an evaluation, too. */
export function readingStages({
  stages,
  evaluateEvery,
}: Pick<InputOptions, 'stages' | 'evaluateEvery'>): readonly Stage[] {
  return evaluateEvery === undefined || stages.includes('evaluate') ? stages : [...stages, 'evaluate'];
}

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
  /** Fetch nothing. */
  readonly offline: boolean;
}

interface RunData {
  /** Its description in the record. */
  readonly described: NonNullable<RunRecord['dataset']>;
  /** Hash of the names of its samples. */
  readonly names: string;
}

/**
 * Finds the data set of the stages.
 * @param skipBad If not 0, samples may lack files.
 * @returns null if no stage reads data.
 * @throws UserError if it is missing, or does not fit the recipe.
 */
async function requireDataset(
  { row, model, data }: Experiment,
  stages: readonly Stage[],
  { dataRoot, skipBad }: Pick<InputOptions, 'dataRoot' | 'skipBad'>,
): Promise<RunData | null> {
  const splits = splitsOf(stages);
  if (splits.length === 0) return null;
  const { loadDataset, publishedImages } = await import('../data/description.js');
  const { dataDeviations, isSynthetic, readPrepared } = await import('../data/markers.js');
  const { datasetFingerprint } = await import('../data/fingerprint.js');
  const { datasetFolder } = await import('../data/split.js');
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
 * Checks given weights without fetching any: a file exists and has the structure of a checkpoint; published ones have a link or,
 * offline, are in the cache.
 * @throws UserError if they cannot be used.
 */
async function requireWeights(
  { row, weights: url }: Experiment,
  given: string,
  { weightsKey: key, offline }: Pick<InputOptions, 'weightsKey' | 'offline'>,
): Promise<void> {
  if (given === PUBLISHED) {
    const { fetchFile, weightsRequest } = await import('../weights/published.js');
    const request = weightsRequest(row, url);
    if (offline) await fetchFile(request, { offline });
  } else {
    const { readCheckpoint } = await import('../weights/load.js');
    await readCheckpoint(given, key);
  }
}

/**
 * Checks everything that a run needs besides an engine, without reading samples: data set, pretrained backbone, weights.
 * @returns As `requireDataset`.
 * @throws UserError that says what is missing.
 */
export async function requireInputs(experiment: Experiment, options: InputOptions): Promise<RunData | null> {
  const { stages, evaluateEvery, weights } = options;
  if (evaluateEvery !== undefined && !stages.includes('train')) {
    throw new UserError(
      `--evaluate-every ${evaluateEvery} evaluates during training, but no stage trains.`,
      'Leave it out.',
    );
  }
  const data = await requireDataset(experiment, stages, options);
  // This is not part of the run's data set: a run may be resumed with another interval, or without one.
  if (evaluateEvery !== undefined && !stages.includes('evaluate')) {
    await requireDataset(experiment, ['evaluate'], options);
  }
  const { pretrained } = experiment.model;
  if (stages.includes('train') && pretrained !== null) {
    const { backboneState } = await import('../training/pretrained.js');
    const found = await backboneState(pretrained, options);
    if (found.state === 'missing') throw found.error;
  }
  if (weights !== undefined) await requireWeights(experiment, weights, options);
  return data;
}
