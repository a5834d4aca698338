import type { Dataset } from '../data/dataset.js';
import type { Experiment } from '../recipe/experiment.js';
import type { RunRecord, Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';

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
  /** Folder of the run directories. */
  readonly runs: string;
  /** Weights to evaluate if no stage trains: a file, or `published` for the row's own. */
  readonly weights?: string | undefined;
  /** Which dictionary of tensors in the file; default: the only one. */
  readonly weightsKey?: string | undefined;
  /** Bad samples that may be left out without ending the run. */
  readonly skipBad: number;
  /** Fetch nothing. */
  readonly offline: boolean;
}

/** The data set of a run. */
export interface RunData {
  /** Its description in the record. */
  readonly described: NonNullable<RunRecord['dataset']>;
  /** Hash of the names of its samples. */
  readonly names: string;
  /** Images of the splits that the run reads. */
  readonly images: Readonly<Record<string, number>>;
}

/**
 * Finds the data set of the stages, without reading samples.
 * @param skipBad If not 0, samples may lack files.
 * @returns null if no stage reads data.
 * @throws UserError if it is missing or incomplete.
 */
export async function requireDataset(
  dataset: Dataset,
  { data }: Experiment,
  stages: readonly Stage[],
  { dataRoot, skipBad }: Pick<InputOptions, 'dataRoot' | 'skipBad'>,
): Promise<RunData | null> {
  const splits = splitsOf(stages);
  if (splits.length === 0) return null;
  const { publishedImages } = await import('../data/description.js');
  const { dataDeviations, isSynthetic, readPrepared } = await import('../data/markers.js');
  const { datasetFingerprint } = await import('../data/fingerprint.js');
  const { datasetFolder } = await import('../data/split.js');
  const incomplete = skipBad > 0 ? 'kept' : 'refused';
  const { names, files, images } = await datasetFingerprint(dataset, splits, dataRoot, incomplete);
  const folder = datasetFolder(dataset, dataRoot);
  const synthetic = isSynthetic(folder);
  const prepared = (await readPrepared(folder))?.deviations ?? [];
  const deviations = dataDeviations({ images, published: publishedImages(data.dataset), prepared, synthetic });
  const described = { id: dataset.id, fingerprint: files, synthetic, ...(deviations.length > 0 && { deviations }) };
  return { described, names, images };
}

/** @throws UserError if evaluation during training is wanted, but no stage trains. */
export function assertTrains({ stages, evaluateEvery }: Pick<InputOptions, 'stages' | 'evaluateEvery'>): void {
  if (evaluateEvery === undefined || stages.includes('train')) return;
  throw new UserError(
    `--evaluate-every ${evaluateEvery} evaluates during training, but no stage trains.`,
    'Leave it out.',
  );
}
