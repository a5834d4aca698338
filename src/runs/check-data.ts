import type { Dataset } from '../data/dataset.js';
import type { Problem } from '../data/problem.js';
import type { SplitEntry } from '../data/split.js';
import type { InspectedSplit } from '../datasets/inspect.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { type DisplayMode, showCounted } from '../terminal/display.js';
import { splitsOf } from './preflight.js';

/** `fast`: files exist, begin correctly and have the size of their pair; `full`: every pixel is read. */
export const DATA_CHECKS = ['fast', 'full', 'off'] as const;
type DataCheck = (typeof DATA_CHECKS)[number];

export interface CheckDataOptions {
  readonly experiment: Experiment;
  readonly stages: readonly Stage[];
  readonly dataRoot: string;
  readonly checkData: DataCheck;
  /** Bad samples that may be left out without ending the run. */
  readonly skipBad: number;
  /** Results of earlier checks of the command, null for success: the runs of a series share data sets. */
  readonly checkedData: Map<string, UserError | null>;
  readonly signal: AbortSignal;
  /** Receives problems that do not stop the run. */
  readonly note: (text: string) => void;
  readonly display: DisplayMode;
}

/** The samples of a split that a run reads, and the problems of their files. */
interface ReadSplit {
  readonly samples: readonly SplitEntry[];
  readonly missing: readonly Problem[];
}

/**
 * Checks every sample that the stages will read, so that a broken one is found now and not after hours. Notes wrong lists,
 * wrong numbers of images, labels without image and, before a training, classes without labels.
 * @throws UserError that names the first bad sample if there are more than `skipBad`; the signal's reason on abort.
 */
export async function checkData(options: CheckDataOptions): Promise<void> {
  const { experiment, stages, checkData, checkedData } = options;
  const splits = splitsOf(stages);
  if (checkData === 'off' || splits.length === 0) return;
  const key = JSON.stringify([experiment.data.dataset, splits, experiment.evaluation.limit]);
  if (!checkedData.has(key)) checkedData.set(key, await check(splits, options));
  const refusal = checkedData.get(key)!;
  if (refusal !== null) throw refusal;
}

async function check(splits: readonly string[], options: CheckDataOptions): Promise<UserError | null> {
  const { experiment, dataRoot, checkData, skipBad, signal, note, display } = options;
  const { loadDataset } = await import('../data/description.js');
  const { inspectSplit } = await import('../datasets/inspect.js');
  const { LabelInventory } = await import('../data/label-inventory.js');
  const { summariseProblems } = await import('../data/problem.js');
  const { datasetFolder } = await import('../data/split.js');
  const { spareLabels } = await import('../datasets/check.js');
  const { checkEntries } = await import('../datasets/verify.js');
  const dataset = await loadDataset(experiment.data.dataset);
  const inspected: Record<string, InspectedSplit> = {};
  for (const split of splits) inspected[split] = await inspectSplit(dataset, split, dataRoot);
  const folder = datasetFolder(dataset, dataRoot);
  const noteAll = (problems: readonly Problem[]) => {
    for (const message of summariseProblems(problems, folder)) note(`Note: ${message}`);
  };
  noteAll([...(await irregularities(dataset, inspected, folder)), ...(await spareLabels(dataset, splits, dataRoot))]);

  const read = Object.entries(inspected).map(([split, found]) => {
    const limit = split === 'val' ? experiment.evaluation.limit : null;
    return [split, readSplit(found, limit ?? found.named.length)] as const;
  });
  const missing = read.flatMap(([, split]) => split.missing);
  const lacking = new Set(missing.map(({ file }) => file));
  const isWhole = (entry: SplitEntry) => !filesOf(entry).some((file) => lacking.has(file));
  const whole = Object.fromEntries(read.map(([split, { samples }]) => [split, samples.filter(isWhole)]));
  // The evaluation itself reports classes that are missing in validation.
  const inventories = Object.fromEntries(
    splits.filter((split) => split === 'train').map((split) => [split, new LabelInventory(dataset)]),
  );
  const fast = checkData === 'fast';
  const broken = await showCounted('Check the data', 'sample', display, (onProgress) =>
    checkEntries(whole, { dataset, fast, size: null, inventories, signal, onProgress }),
  );
  for (const [split, inventory] of Object.entries(inventories)) noteAll(inventory.warnings(split, folder));
  const problems = [...missing, ...broken];
  if (problems.length === 0) return null;
  const samples = read.flatMap(([, split]) => split.samples);
  const found = describe(problems, samples.length);
  if (countBad(problems, samples) > skipBad) {
    return new UserError(
      found,
      `Fix the data set (fcn datasets verify ${dataset.id} names every bad file), or leave out up to N samples with --skip-bad N.`,
    );
  }
  note(`${found} They are left out (--skip-bad ${skipBad}).`);
  return null;
}

const filesOf = ({ image, label }: SplitEntry) => [image, label];

/** The first `count` samples of a split, without problems of files that only later samples use. */
function readSplit({ named, missing }: InspectedSplit, count: number): ReadSplit {
  const unread = new Set(named.slice(count).flatMap(filesOf));
  return { samples: named.slice(0, count), missing: missing.filter(({ file }) => !unread.has(file)) };
}

/** Number of samples with problems. */
function countBad(problems: readonly Problem[], samples: readonly SplitEntry[]): number {
  const sampleOf = new Map(samples.flatMap(({ image, label }) => [[image, image] as const, [label, image] as const]));
  return new Set(problems.map(({ file }) => sampleOf.get(file) ?? file)).size;
}

/** How many files cannot be used, and the first of them. */
function describe(problems: readonly Problem[], samples: number): string {
  // A file may have several problems.
  const files = new Set(problems.map(({ file }) => file)).size;
  const first = problems[0]!.message.replace(/\.$/, '');
  const more = files > 1 ? `, and ${files - 1} more` : '';
  return `${formatNumber(files, 'file')} of ${samples} samples cannot be used: ${first}${more}.`;
}

/** Problems of the splits' lists and numbers of images, and images that two splits share. */
async function irregularities(
  dataset: Dataset,
  splits: Readonly<Record<string, InspectedSplit>>,
  folder: string,
): Promise<Problem[]> {
  const { countProblem, expectedImages, sharedImages } = await import('../datasets/inspect.js');
  const expected = await expectedImages(dataset, folder);
  const counts = Object.entries(splits).flatMap(([split, { entries, missing }]) =>
    // Missing files are reported one by one.
    countProblem(folder, split, entries.length + missing.length, expected),
  );
  const irregular = Object.values(splits).flatMap((split) => split.irregular);
  return [...irregular, ...sharedImages(splits), ...counts, ...(await unlikePublished(dataset, folder, splits))];
}

/** How a prepared data set differs from the published one; for any other, `countProblem` reports its numbers of images. */
async function unlikePublished(
  dataset: Dataset,
  folder: string,
  splits: Readonly<Record<string, InspectedSplit>>,
): Promise<Problem[]> {
  const { dataDeviations, formatDeviation, isSynthetic, readPrepared } = await import('../data/markers.js');
  const prepared = await readPrepared(folder);
  if (prepared === null) return [];
  const deviations = dataDeviations({
    images: Object.fromEntries(Object.entries(splits).map(([split, { named }]) => [split, named.length])),
    published: dataset.published?.images ?? {},
    prepared: prepared.deviations,
    synthetic: isSynthetic(folder),
  });
  return deviations.map((deviation) => ({
    file: folder,
    split: null,
    kind: 'deviation' as const,
    message: `${folder}: ${formatDeviation(deviation)}: figures on it compare with nothing published.`,
  }));
}
