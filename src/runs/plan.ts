import path from 'node:path';
import type { Experiment } from '../recipe/experiment.js';
import { type Deviation, differences, resolveRow } from '../recipe/resolve.js';
import type { Row } from '../recipe/tables.js';
import { type RunRecord, STAGE_NAMES, type Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File } from '../support/files.js';
import { formatDownload } from '../support/format.js';
import { type DisplayMode, showStages } from '../terminal/display.js';

/** Stands for the row's published weights where a file could be given; `./published` is a file of that name. */
export const PUBLISHED = 'published';

/**
 * The file of the weights that a run was given: the file itself, or the row's published one, fetched where it is not in
 * the cache yet.
 * @throws UserError if the row has none or they cannot be fetched; the signal's reason on abort.
 */
export async function givenWeights(
  { row, weights: url }: Experiment,
  given: string,
  { signal, display }: { readonly signal: AbortSignal; readonly display: DisplayMode },
): Promise<string> {
  if (given !== PUBLISHED) return given;
  const { fetchPublished } = await import('../weights/published.js');
  let file = '';
  await showStages(
    [
      {
        title: 'Fetch the published weights',
        run: async (say) => {
          const published = await fetchPublished({
            row,
            url,
            signal,
            onProgress: (progress) => say(formatDownload(progress)),
            onWait: () => say('waiting for another process that fetches them'),
          });
          file = published.file;
          return `${published.source === 'cache' ? 'in the cache' : 'fetched'}: ${file}`;
        },
      },
    ],
    display,
  );
  return file;
}

/** A record names a weights file by its hash; where it lies on a machine says nothing elsewhere. */
export async function describeWeights(
  file: string,
  source: 'trained' | 'given',
  key?: string,
): Promise<NonNullable<RunRecord['weights']>> {
  try {
    return { file: path.basename(file), sha256: await sha256File(file), source, ...(key !== undefined && { key }) };
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
  /** Of the first run of each row. */
  readonly seed: number;
  /** Runs of each row: seeds `seed`, `seed` + 1, … */
  readonly repeat: number;
}

/** Seeds are 32-bit words of the random generator's key. */
const LARGEST_SEED = 2 ** 32 - 1;

/**
 * The runs that rows and seeds stand for, row by row.
 * @throws UserError if an override does not fit one of the rows, or there are not as many seeds.
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

/** @throws UserError if one file of weights would be evaluated as several rows. */
export function requireOneRow(rows: readonly Row[], weights: string | undefined): void {
  if (weights === undefined || weights === PUBLISHED || rows.length === 1) return;
  throw new UserError(
    `--weights ${weights} belongs to one row, and ${rows.length} are chosen.`,
    `Name one row, or give --weights ${PUBLISHED}: each row's own.`,
  );
}

/** @throws UserError if one run would be gone on with as several. */
export function requireOneRun(count: number, run: string | undefined): void {
  if (run === undefined || count === 1) return;
  throw new UserError(
    `--resume-run ${run} is one run, and ${count} are asked for.`,
    'Leave it out: a series that was interrupted goes on by itself.',
  );
}

/**
 * The stages to do, in their order: those that were asked for; otherwise all, without training where weights are given.
 * @throws UserError if they do not go together.
 */
export function chooseStages(asked: readonly Stage[] | undefined, weights: string | undefined): Stage[] {
  const wanted = asked ?? (weights === undefined ? STAGE_NAMES : STAGE_NAMES.filter((stage) => stage !== 'train'));
  const stages = STAGE_NAMES.filter((stage) => wanted.includes(stage));
  if (weights !== undefined && stages.includes('train')) {
    throw new UserError(
      '--weights evaluates without training, and --stage train trains.',
      'Leave one of them out; --set pretrained=FILE starts training from a backbone.',
    );
  }
  const evaluates = stages.find((stage) => stage === 'evaluate' || stage === 'evaluate-ms');
  if (weights === undefined && evaluates !== undefined && !stages.includes('train')) {
    throw new UserError(
      `--stage ${evaluates} needs weights, and nothing trains them.`,
      'Add --stage train, or give --weights FILE or --weights published.',
    );
  }
  return stages;
}
