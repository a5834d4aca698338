import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import type { Size } from '../data/image.js';
import { LabelInventory } from '../data/label-inventory.js';
import {
  type DataDeviation,
  dataDeviations,
  formatDeviation,
  readPrepared,
  readSyntheticSettings,
  requirePrepared,
} from '../data/markers.js';
import { type Problem, summariseProblems } from '../data/problem.js';
import { datasetFolder, requireDatasetFolder, type SplitEntry } from '../data/split.js';
import { defaultWorkers, WorkerPool } from '../data/workers/pool.js';
import { formatNumber } from '../support/format.js';
import { type CheckedEntry, spareLabels } from './check.js';
import type { CheckTask, CheckWorkerData } from './check-worker.js';
import { compareHashes, readTrustedHashes, type TrustedHashes } from './hashes.js';
import {
  countProblem,
  type ExpectedImages,
  expectedImages,
  type InspectedSplit,
  inspectSplit,
  sharedImages,
} from './inspect.js';

export interface VerifyOptions {
  readonly dataset: Dataset;
  readonly dataRoot: string;
  /** Folders, lists, pairs, and the files' headers; neither pixels nor label values. */
  readonly fast: boolean;
  readonly workers?: number;
  readonly signal?: AbortSignal;
  /** Told the checks that are done: one for each image with its label, one for each file with a recorded hash. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What a check of a data set found. */
export interface Verification {
  readonly dataset: string;
  readonly name: string;
  readonly folder: string;
  readonly synthetic: boolean;
  readonly fast: boolean;
  /** Pairs of image and label of each split, and how many there should be; null where nothing says so. */
  readonly splits: Readonly<Record<string, { readonly images: number; readonly expected: number | null }>>;
  /** Where the expected numbers come from. */
  readonly expectedBy: ExpectedImages['by'];
  /** Files whose content was compared with its recorded SHA-256; null where none were recorded, or under `fast`. */
  readonly hashes: number | null;
  /** In what it differs from the data set that the published figures are of: no fault, but no figure on it compares with them. */
  readonly deviations: readonly DataDeviation[];
  /** In the order of splits and names; then files that are not what was recorded. */
  readonly problems: readonly Problem[];
  /**
   * What stops nothing, and is often a mistake: numbers of images that differ from unconfirmed ones, labels of no image, and,
   * unless `fast`, classes that no training label holds.
   */
  readonly warnings: readonly Problem[];
}

/** The split whose labels must hold every class: that of training; of a data set without one, its first. */
function trainingSplit({ splits }: Pick<Dataset, 'splits'>): string {
  return Object.hasOwn(splits, 'train') ? 'train' : Object.keys(splits)[0]!;
}

/**
 * Checks a data set against its description: folders, lists, pairs, numbers of images (the published ones, or those that a
 * synthetic data set was made with), sizes, and, unless `fast`, every pixel and label value, and the hashes of all files where
 * the preparation recorded them.
 * @returns Everything that is wrong with it; only complete with every file looked at.
 * @throws UserError where there is no data set to check, or one whose preparation is not finished; the signal's reason when aborted.
 */
export async function verifyDataset(options: VerifyOptions): Promise<Verification> {
  const { dataset, dataRoot, fast, signal, onProgress, workers = defaultWorkers() + 1 } = options;
  await requireDatasetFolder(dataset, dataRoot);
  const folder = datasetFolder(dataset, dataRoot);
  await requirePrepared(folder);
  const settings = await readSyntheticSettings(folder);
  const expected = await expectedImages(dataset, folder);

  const inspected: Record<string, InspectedSplit> = {};
  for (const split of Object.keys(dataset.splits)) inspected[split] = await inspectSplit(dataset, split, dataRoot);
  // Where a folder is missing, so are its images: that is said already.
  const counts = Object.entries(inspected).flatMap(([split, { entries, isWhole }]) =>
    isWhole ? countProblem(folder, split, entries.length, expected) : [],
  );
  const problems = Object.entries(inspected).flatMap(([split, { missing, irregular }]) => [
    ...missing,
    ...irregular,
    ...(expected.isUnconfirmed ? [] : counts.filter((count) => count.split === split)),
  ]);
  problems.push(...sharedImages(inspected));
  const size = settings === null ? (dataset.published?.size ?? null) : null;
  const entries = Object.fromEntries(Object.entries(inspected).map(([split, found]) => [split, found.entries]));
  const { hashes, problems: hashProblems } = fast ? NO_HASHES : await readTrustedHashes(folder);
  let images = 0;
  const total = () => images + hashes.length;
  const onImage = (done: number, all: number) => {
    images = all;
    onProgress?.(done, total());
  };
  const training = trainingSplit(dataset);
  const inventories = fast ? {} : { [training]: new LabelInventory(dataset) };
  problems.push(...(await checkEntries(entries, { ...options, size, inventories, onProgress: onImage })));
  // Of files that two splits share, once.
  const known = new Set<string>();
  const distinct = problems.filter(({ kind, file, message }) => {
    const key = `${kind}\n${file}\n${message}`;
    return !known.has(key) && known.add(key);
  });
  let done = images;
  const onFile = () => onProgress?.(++done, total());
  const changed = await compareHashes(folder, hashes, { workers, signal, onFile });
  // A file that is broken or missing is not said to be changed as well.
  const told = new Set(distinct.map(({ file }) => path.resolve(file)));
  for (const problem of [...hashProblems, ...changed]) {
    if (!told.has(path.resolve(problem.file))) distinct.push({ ...problem, split: null });
  }
  return {
    dataset: dataset.id,
    name: dataset.name,
    folder: path.resolve(folder),
    synthetic: settings !== null,
    fast,
    hashes: hashes.length === 0 ? null : hashes.length,
    deviations: await deviationsOf(dataset, folder, inspected, settings !== null),
    expectedBy: expected.by,
    splits: Object.fromEntries(
      Object.entries(inspected).map(([split, { entries }]) => [
        split,
        { images: entries.length, expected: expected.images[split] ?? null },
      ]),
    ),
    problems: distinct,
    warnings: [
      ...(expected.isUnconfirmed ? counts : []),
      ...(await spareLabels(dataset, Object.keys(dataset.splits), dataRoot)),
      ...(inventories[training]?.warnings(training, folder) ?? []),
    ],
  };
}

/** In what a prepared data set differs from the published one. Of any other, wrong numbers of images are problems. */
async function deviationsOf(
  { published }: Dataset,
  folder: string,
  splits: Readonly<Record<string, InspectedSplit>>,
  synthetic: boolean,
): Promise<DataDeviation[]> {
  const prepared = await readPrepared(folder);
  if (prepared === null) return [];
  const images = Object.fromEntries(Object.entries(splits).map(([split, { entries }]) => [split, entries.length]));
  return dataDeviations({ images, published: published?.images ?? {}, prepared: prepared.deviations, synthetic });
}

const NO_HASHES: TrustedHashes = { hashes: [], problems: [] };

interface CheckEntriesOptions extends Omit<VerifyOptions, 'dataRoot'> {
  /** Size that every image must have; null where they differ. */
  readonly size: Size | null;
  /**
   * What labels of a split hold is added to its inventory. Where `fast`, labels are read until every class has occurred, and what
   * is wrong with their values is not told.
   */
  readonly inventories?: Readonly<Record<string, LabelInventory>>;
}

/**
 * Reads every image and label of splits: their headers where `fast`, else every pixel and label value.
 * @returns What is wrong with them, in the order of splits and names.
 * @throws the signal's reason when aborted.
 */
export async function checkEntries(
  splits: Readonly<Record<string, readonly SplitEntry[]>>,
  options: CheckEntriesOptions,
): Promise<Problem[]> {
  const { dataset, fast, size, inventories = {}, workers = defaultWorkers() + 1, signal, onProgress } = options;
  const data: CheckWorkerData = { dataset, options: { fast, size } };
  const splitOf = new Map<SplitEntry, string>();
  for (const [split, entries] of Object.entries(splits)) for (const entry of entries) splitOf.set(entry, split);
  const total = splitOf.size;
  onProgress?.(0, total);
  if (total === 0) return [];
  const found = new Map<SplitEntry, CheckedEntry['problems']>();
  function* tasks(): Generator<CheckTask> {
    for (const [entry, split] of splitOf) {
      yield { entry, lookAtLabels: inventories[split] !== undefined && inventories[split].absent().length > 0 };
    }
  }
  const module = new URL('./check-worker.js', import.meta.url);
  const pool = await WorkerPool.start<CheckTask, CheckedEntry>(module, Math.min(workers, total), data);
  try {
    await pool.runAll(tasks(), 2 * workers, {
      signal,
      onResult: ({ problems, held }, { entry, lookAtLabels }) => {
        found.set(entry, problems);
        if (lookAtLabels || !fast) inventories[splitOf.get(entry)!]?.add(held);
        onProgress?.(found.size, total);
      },
    });
  } finally {
    await pool.close();
  }
  // Workers finish in any order; a report has one.
  return [...splitOf].flatMap(([entry, split]) => (found.get(entry) ?? []).map((problem) => ({ ...problem, split })));
}

/** What a check of a data set found, as lines for a terminal; under --json every problem is told by itself. */
export function formatVerification(verification: Verification): string {
  const { name, folder, synthetic, fast, hashes, splits, expectedBy, deviations, problems, warnings } = verification;
  const counts = Object.entries(splits).map(([split, { images, expected }]) => {
    const wanted = expected === null ? '' : images === expected ? `, as ${expectedBy}` : `, ${expected} expected`;
    return `  ${split.padEnd(8)} ${formatNumber(images, 'image with its label', 'images with labels')}${wanted}`;
  });
  const compared = hashes === null ? '' : `, ${formatNumber(hashes, 'recorded hash', 'recorded hashes')}`;
  const depth = fast ? 'files, pairs and headers' : `files, pairs, every pixel and every label${compared}`;
  const wrong = summariseProblems(problems, folder);
  const also = summariseProblems(warnings, folder);
  const isShortened = wrong.length + also.length < problems.length + warnings.length;
  const noted = formatNumber(warnings.length, 'warning');
  const verdict =
    problems.length === 0
      ? `✓ Nothing is wrong${warnings.length === 0 ? '' : `; ${noted}`}`
      : `✗ ${formatNumber(problems.length, 'problem')}${warnings.length === 0 ? '' : ` and ${noted}`}`;
  return [
    `${name}${synthetic ? ' (synthetic)' : ''} in ${folder}`,
    ...counts,
    ...deviations.map((deviation) => `  Not as published: ${formatDeviation(deviation)}.`),
    ...wrong.map((message) => `  ✗ ${message}`),
    ...also.map((message) => `  ! ${message}`),
    ...(isShortened ? ['  --json names every file.'] : []),
    `${verdict} (checked: ${depth}).`,
  ].join('\n');
}
