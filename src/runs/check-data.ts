import type { Experiment } from '../experiments/experiment.js';
import { UserError } from '../support/errors.js';
import { type DisplayMode, showCounted } from './display.js';
import { SPLITS } from './preflight.js';
import type { Stage } from './stage-names.js';

/** `fast`: files are there, begin as they should and have the size of their pair; `full`: every pixel is read. */
export const DATA_CHECKS = ['fast', 'full', 'off'] as const;
export type DataCheck = (typeof DATA_CHECKS)[number];

export interface CheckDataOptions {
  readonly experiment: Experiment;
  readonly stages: readonly Stage[];
  readonly dataRoot: string;
  readonly checkData: DataCheck;
  /** Bad samples that may be left out while the run goes on. */
  readonly skipBad: number;
  /** What the command has checked already: the runs of a series share data sets. */
  readonly checkedData: Set<string>;
  readonly signal: AbortSignal;
  readonly display: DisplayMode;
}

/**
 * Looks at every sample that the stages will read, so that a broken one is known now and not after hours.
 * @throws UserError that names the first bad sample, where there are more than may be left out; the signal's reason on abort.
 */
export async function checkData(options: CheckDataOptions): Promise<void> {
  const { experiment, stages, dataRoot, checkData, skipBad, checkedData, signal, display } = options;
  const { limit } = experiment.evaluation;
  const splits = [...new Set(stages.flatMap((stage) => SPLITS[stage]))];
  const key = JSON.stringify([experiment.data.dataset, splits, limit]);
  if (checkData === 'off' || splits.length === 0 || checkedData.has(key)) return;
  const { loadDataset } = await import('../data/datasets/description.js');
  const { readSplit } = await import('../data/datasets/read-split.js');
  const { checkEntries } = await import('../data/datasets/verify.js');
  const dataset = await loadDataset(experiment.data.dataset);
  const entries = Object.fromEntries(
    await Promise.all(
      splits.map(async (split) => {
        const all = await readSplit(dataset, split, dataRoot);
        return [split, split === 'val' ? all.slice(0, limit ?? undefined) : all] as const;
      }),
    ),
  );
  const problems = await showCounted('Check the data', 'samples', display, (onProgress) =>
    checkEntries(entries, { dataset, fast: checkData === 'fast', size: null, signal, onProgress }),
  );
  checkedData.add(key);
  const samples = Object.values(entries).reduce((sum, { length }) => sum + length, 0);
  // A file may be wrong in more than one way.
  const files = new Set(problems.map(({ file }) => file)).size;
  if (files <= skipBad) return;
  const first = problems[0]!.message.replace(/\.$/, '');
  throw new UserError(
    `${files} file${files === 1 ? '' : 's'} of ${samples} samples cannot be used: ${first}${files > 1 ? `, and ${files - 1} more` : ''}.`,
    `Mend the data set (fcn datasets verify ${dataset.id} names every bad file), or leave out up to N samples with --skip-bad N.`,
  );
}
