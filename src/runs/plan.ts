import path from 'node:path';
import type { Experiment } from '../recipe/experiment.js';
import { type Deviation, differences, resolveRow } from '../recipe/resolve.js';
import type { Row } from '../recipe/tables.js';
import { type RunRecord, STAGE_NAMES, type Stage, type TrainedBy } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File } from '../support/files.js';
import { type ShownFetchOptions, showFetch } from './fetch.js';

/** Means the row's published weights instead of a file; `./published` is a file of that name. */
export const PUBLISHED = 'published';

/**
 * The file of given weights: the file itself or, for `published`, the row's published file, fetched unless it is in the cache.
 * @throws UserError if the row has none or they cannot be fetched; the signal's reason on abort.
 */
export async function givenWeights(experiment: Experiment, given: string, options: ShownFetchOptions): Promise<string> {
  if (given !== PUBLISHED) return given;
  const { fetchFile } = await import('../weights/published.js');
  const { experimentWeights } = await import('../weights/requests.js');
  const { file } = await showFetch(
    'Fetch the published weights',
    'the published weights',
    (events) => fetchFile(experimentWeights(experiment), events),
    options,
  );
  return file;
}

/** Weights as a record describes them: by name and hash, without the folder, which means nothing elsewhere. */
export async function recordedWeights(
  file: string,
  source: 'trained' | 'given',
  { key, trainedBy }: { readonly key?: string | undefined; readonly trainedBy?: TrainedBy | undefined } = {},
): Promise<NonNullable<RunRecord['weights']>> {
  try {
    return {
      file: path.basename(file),
      sha256: await sha256File(file),
      source,
      ...(key !== undefined && { key }),
      ...(trainedBy !== undefined && { trainedBy }),
    };
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

/** One run of a series: a row with a seed. */
export interface PlannedRun {
  readonly experiment: Experiment;
  readonly deviations: readonly Deviation[];
}

interface PlanOptions {
  readonly rows: readonly Row[];
  readonly profile: string;
  readonly overrides: readonly string[];
  /** Seed of the first run of each row. */
  readonly seed: number;
  /** Runs of each row, with seeds `seed`, `seed` + 1, … */
  readonly repeat: number;
}

/** Seeds are 32-bit words of the random generator's key. */
const LARGEST_SEED = 2 ** 32 - 1;

/**
 * The runs of rows and seeds, row by row.
 * @throws UserError if an override does not fit one of the rows, or a seed is too large.
 */
export function planRuns({ rows, profile, overrides, seed, repeat }: PlanOptions): PlannedRun[] {
  if (seed + repeat - 1 > LARGEST_SEED) {
    throw new UserError(
      `Seeds from ${seed} to ${seed + repeat - 1}: the largest is ${LARGEST_SEED}.`,
      'Start with a lower --seed.',
    );
  }
  return rows.flatMap((row) =>
    Array.from({ length: repeat }, (_, i) => {
      const experiment = resolveRow(row, { profile, overrides, seed: seed + i });
      return { experiment, deviations: differences(experiment, row.recipe) };
    }),
  );
}

/** @throws UserError if a weights file is given for several rows. */
export function requireOneRow(rows: readonly Row[], weights: string | undefined): void {
  if (weights === undefined || weights === PUBLISHED || rows.length === 1) return;
  throw new UserError(
    `--weights ${weights} belongs to one row, but ${rows.length} are chosen.`,
    `Name one row, or give --weights ${PUBLISHED}, each row's own.`,
  );
}

/** @throws UserError if one run would be resumed as several. */
export function requireOneRun(count: number, run: string | undefined): void {
  if (run === undefined || count === 1) return;
  throw new UserError(
    `--resume-run ${run} is one run, but the command has ${count}.`,
    'Leave it out: the same command resumes an interrupted series.',
  );
}

/**
 * The stages to do, in order: the requested ones; by default all, without training if weights are given.
 * @throws UserError if they do not fit together.
 */
export function chooseStages(requested: readonly Stage[] | undefined, weights: string | undefined): Stage[] {
  const wanted = requested ?? (weights === undefined ? STAGE_NAMES : STAGE_NAMES.filter((stage) => stage !== 'train'));
  const stages = STAGE_NAMES.filter((stage) => wanted.includes(stage));
  if (weights !== undefined && stages.includes('train')) {
    throw new UserError(
      '--weights evaluates without training, but --stage train trains.',
      'Leave one of them out; --set initialWeights=FILE starts training from weights.',
    );
  }
  const evaluates = stages.find((stage) => stage === 'evaluate' || stage === 'evaluate-ms');
  if (weights === undefined && evaluates !== undefined && !stages.includes('train')) {
    throw new UserError(
      `--stage ${evaluates} needs weights, but no stage trains them.`,
      'Add --stage train, or give --weights FILE or --weights published.',
    );
  }
  return stages;
}
