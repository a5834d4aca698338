import type { Dataset } from '../data/dataset.js';
import type { Problem } from '../data/problem.js';
import type { Entry } from '../data/split.js';
import type { InspectedSplit } from '../datasets/inspect.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { type DisplayMode, showCounted } from '../terminal/display.js';
import { SPLITS } from './preflight.js';

/** `fast`: files are there, begin as they should and have the size of their pair; `full`: every pixel is read. */
export const DATA_CHECKS = ['fast', 'full', 'off'] as const;
export type DataCheck = (typeof DATA_CHECKS)[number];

export interface CheckDataOptions {
  readonly experiment: Experiment;
  readonly stages: readonly Stage[];
  readonly dataRoot: string;
  readonly checkData: DataCheck;
  /** Bad samples that may be left out without ending the run. */
  readonly skipBad: number;
  /** What the command has found already, null if nothing stops a run: the runs of a series share data sets. */
  readonly checkedData: Map<string, UserError | null>;
  readonly signal: AbortSignal;
  /** Told what is wrong and stops nothing. */
  readonly note: (text: string) => void;
  readonly display: DisplayMode;
}

/**
 * Looks at every sample that the stages will read, so that a broken one is known now and not after hours; also for images
 * that lack their label. What is wrong with lists and numbers of images beside that is noted, as are labels of no image and,
 * before a training, classes that no label holds.
 * @throws UserError that names the first bad sample, where there are more than may be left out; the signal's reason on abort.
 */
export async function checkData(options: CheckDataOptions): Promise<void> {
  const { experiment, stages, checkData, checkedData } = options;
  const splits = [...new Set(stages.flatMap((stage) => SPLITS[stage]))];
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
  const { LabelInventory } = await import('../data/held-labels.js');
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
  noteAll([...(await irregularities(dataset, inspected, dataRoot)), ...(await spareLabels(dataset, splits, dataRoot))]);

  const { limit } = experiment.evaluation;
  const read: Record<string, readonly Entry[]> = {};
  const missing: Problem[] = [];
  for (const [split, found] of Object.entries(inspected)) {
    const end = split === 'val' && limit !== null ? limit : found.named.length;
    // Images that no run of this recipe comes to are none of its business.
    const beyond = new Set(found.named.slice(end).flatMap(filesOf));
    read[split] = found.named.slice(0, end);
    missing.push(...found.missing.filter(({ file }) => !beyond.has(file)));
  }
  const lacking = new Set(missing.map(({ file }) => file));
  const whole = Object.fromEntries(
    Object.entries(read).map(([split, named]) => [
      split,
      named.filter((entry) => !filesOf(entry).some((file) => lacking.has(file))),
    ]),
  );
  // A class that is missing in validation alone is told by the evaluation.
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
  const samples = Object.values(read).flat();
  const found = describe(problems, samples.length);
  if (countBad(problems, samples) > skipBad) {
    return new UserError(
      found,
      `Mend the data set (fcn datasets verify ${dataset.id} names every bad file), or leave out up to N samples with --skip-bad N.`,
    );
  }
  note(`${found} They are left out (--skip-bad ${skipBad}).`);
  return null;
}

const filesOf = ({ image, label }: Entry) => [image, label];

/** Samples that problems are about. */
function countBad(problems: readonly Problem[], samples: readonly Entry[]): number {
  const sampleOf = new Map(samples.flatMap(({ image, label }) => [[image, image] as const, [label, image] as const]));
  return new Set(problems.map(({ file }) => sampleOf.get(file) ?? file)).size;
}

/** How many files cannot be used, and the first of them. */
function describe(problems: readonly Problem[], samples: number): string {
  // A file may be wrong in more than one way.
  const files = new Set(problems.map(({ file }) => file)).size;
  const first = problems[0]!.message.replace(/\.$/, '');
  const more = files > 1 ? `, and ${files - 1} more` : '';
  return `${files} file${files === 1 ? '' : 's'} of ${samples} samples cannot be used: ${first}${more}.`;
}

/** What is wrong with the splits' lists and numbers of images, and images that are in two of them. */
async function irregularities(
  dataset: Dataset,
  splits: Readonly<Record<string, InspectedSplit>>,
  dataRoot: string,
): Promise<Problem[]> {
  const { countProblem, expectedImages } = await import('../datasets/inspect.js');
  const { sharedImages } = await import('../datasets/inspect.js');
  const { datasetFolder } = await import('../data/split.js');
  const folder = datasetFolder(dataset, dataRoot);
  const expected = await expectedImages(dataset, folder);
  const counts = Object.entries(splits).flatMap(([split, { entries, missing }]) =>
    // Those that lack a file are told of one by one.
    countProblem(folder, split, entries.length + missing.length, expected),
  );
  return [
    ...Object.values(splits).flatMap(({ irregular }) => irregular),
    ...sharedImages(splits),
    ...counts,
    ...(await unlikePublished(dataset, folder, splits)),
  ];
}

/** In what a prepared data set differs from the published one. Of any other, its numbers of images are said to be wrong. */
async function unlikePublished(
  dataset: Dataset,
  folder: string,
  splits: Readonly<Record<string, InspectedSplit>>,
): Promise<Problem[]> {
  const { dataDeviations, formatDeviation } = await import('../data/markers.js');
  const { readPrepared } = await import('../data/markers.js');
  const { isSynthetic } = await import('../data/markers.js');
  const prepared = await readPrepared(folder);
  if (prepared === null) return [];
  const images = Object.fromEntries(Object.entries(splits).map(([split, { named }]) => [split, named.length]));
  const known = {
    images,
    published: dataset.published?.images ?? {},
    prepared: prepared.deviations ?? [],
    synthetic: isSynthetic(folder),
  };
  return dataDeviations(known).map((deviation) => ({
    file: folder,
    split: null,
    kind: 'deviation' as const,
    message: `${folder}: ${formatDeviation(deviation)}: figures on it compare with nothing published.`,
  }));
}
