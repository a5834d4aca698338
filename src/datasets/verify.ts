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
import { defaultWorkers, doInWorkers, workersFor } from '../data/workers/pool.js';
import { formatNumber } from '../support/format.js';
import { type CheckedEntry, checkEntry, spareLabels } from './check.js';
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

interface VerifyDatasetOptions {
  readonly dataset: Dataset;
  readonly dataRoot: string;
  /** Check folders, lists, pairs and headers; neither pixels nor label values. */
  readonly fast: boolean;
  readonly workers?: number;
  readonly signal?: AbortSignal;
  /** Called after each check: one for each image with its label, one for each file with a recorded hash. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** The result of a check of a data set. */
export interface DatasetVerification {
  readonly dataset: string;
  readonly name: string;
  readonly folder: string;
  readonly synthetic: boolean;
  readonly fast: boolean;
  /** Images with labels of each split, and how many there should be; null if that is not known. */
  readonly splits: Readonly<Record<string, { readonly images: number; readonly expected: number | null }>>;
  /** The source of the expected numbers. */
  readonly expectedBy: ExpectedImages['by'];
  /** Number of files compared with their recorded SHA-256; null if none were recorded, or if `fast`. */
  readonly hashes: number | null;
  /** How it differs from the data set of the published figures: not problems, but figures on it compare with nothing published. */
  readonly deviations: readonly DataDeviation[];
  /** In the order of splits and names; then files that were changed after their preparation. */
  readonly problems: readonly Problem[];
  /**
   * Possible mistakes: numbers of images that differ from unconfirmed ones, labels of no image, and, unless `fast`, classes that
   * no training label holds.
   */
  readonly warnings: readonly Problem[];
}

/** The split whose labels must hold every class: `train`, or the first one if there is no such split. */
function trainingSplit({ splits }: Pick<Dataset, 'splits'>): string {
  return Object.hasOwn(splits, 'train') ? 'train' : Object.keys(splits)[0]!;
}

/**
 * Checks a data set against its description: folders, lists, pairs, numbers of images (those it was prepared or generated with,
 * or the published ones) and sizes; unless `fast`, also every pixel and label value, and recorded hashes.
 * @throws UserError if there is no data set to check, or its preparation is not finished; the signal's reason when aborted.
 */
export async function verifyDataset(options: VerifyDatasetOptions): Promise<DatasetVerification> {
  const { dataset, dataRoot, fast, signal, onProgress, workers = defaultWorkers() + 1 } = options;
  await requireDatasetFolder(dataset, dataRoot);
  const folder = datasetFolder(dataset, dataRoot);
  await requirePrepared(folder);
  const settings = await readSyntheticSettings(folder);
  const expected = await expectedImages(dataset, folder);

  const inspected: Record<string, InspectedSplit> = {};
  for (const split of Object.keys(dataset.splits)) inspected[split] = await inspectSplit(dataset, split, dataRoot);
  // If a folder is missing, so are its images: that is reported already.
  const counts = Object.entries(inspected).flatMap(([split, { entries, isWhole }]) =>
    isWhole ? countProblem(folder, split, entries.length, expected) : [],
  );
  const problems = Object.entries(inspected).flatMap(([split, { missing, irregular }]) => [
    ...missing,
    ...irregular,
    ...(expected.isUnconfirmed ? [] : counts.filter((count) => count.split === split)),
  ]);
  problems.push(...sharedImages(inspected));

  const { hashes, problems: hashProblems } = fast ? NO_HASHES : await readTrustedHashes(folder);
  const images = Object.values(inspected).reduce((sum, { entries }) => sum + entries.length, 0);
  let done = 0;
  const report = (checked: number) => {
    done = checked;
    onProgress?.(done, images + hashes.length);
  };
  const training = trainingSplit(dataset);
  const inventories = fast ? {} : { [training]: new LabelInventory(dataset) };
  const size = settings === null ? (dataset.published?.size ?? null) : null;
  const entries = Object.fromEntries(Object.entries(inspected).map(([split, found]) => [split, found.entries]));
  problems.push(...(await checkEntries(entries, { ...options, size, inventories, onProgress: report })));
  const distinct = distinctProblems(problems);
  const changed = await compareHashes(folder, hashes, { workers, signal, onFile: () => report(done + 1) });
  // A file that is broken or missing is not reported as changed as well.
  const reported = new Set(distinct.map(({ file }) => path.resolve(file)));
  for (const problem of [...hashProblems, ...changed]) {
    if (!reported.has(path.resolve(problem.file))) distinct.push({ ...problem, split: null });
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

/** Problems with files that two splits share are reported once. */
function distinctProblems(problems: readonly Problem[]): Problem[] {
  const known = new Set<string>();
  return problems.filter(({ kind, file, message }) => {
    const key = `${kind}\n${file}\n${message}`;
    return !known.has(key) && known.add(key);
  });
}

/** How a prepared data set differs from the published one. In any other data set, wrong numbers of images are problems. */
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

interface CheckEntriesOptions extends Omit<VerifyDatasetOptions, 'dataRoot'> {
  /** Size that every image must have; null if they differ. */
  readonly size: Size | null;
  /**
   * The values of each split's labels are added to its inventory. If `fast`, labels are read only until every class has occurred,
   * and problems with their values are not reported.
   */
  readonly inventories?: Readonly<Record<string, LabelInventory>>;
}

/**
 * Reads every image and label of splits: only their headers if `fast`, otherwise every pixel and label value.
 * @returns Their problems, in the order of splits and names.
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
  const onResult = ({ problems, held }: CheckedEntry, { entry, lookAtLabels }: CheckTask) => {
    found.set(entry, problems);
    if (lookAtLabels || !fast) inventories[splitOf.get(entry)!]?.add(held);
    onProgress?.(found.size, total);
  };
  await doInWorkers<CheckTask, CheckedEntry>(new URL('./check-worker.js', import.meta.url), {
    workers: workersFor(total, workers),
    here: ({ entry, lookAtLabels }) => checkEntry(entry, dataset, { ...data.options, lookAtLabels }),
    workerData: data,
    tasks: tasks(),
    count: total,
    signal,
    onResult,
  });
  // Workers finish in any order; a report has one.
  return [...splitOf].flatMap(([entry, split]) => (found.get(entry) ?? []).map((problem) => ({ ...problem, split })));
}

/** The result of a check as lines for a terminal, with many problems of one kind in one line. */
export function formatDatasetVerification(verification: DatasetVerification): string {
  const { name, folder, synthetic, fast, hashes, splits, expectedBy, deviations, problems, warnings } = verification;
  const counts = Object.entries(splits).map(([split, { images, expected }]) => {
    const wanted = expected === null ? '' : images === expected ? `, as ${expectedBy}` : `, ${expected} expected`;
    return `  ${split.padEnd(8)} ${formatNumber(images, 'image with its label', 'images with labels')}${wanted}`;
  });
  const compared = hashes === null ? '' : `, ${formatNumber(hashes, 'recorded hash', 'recorded hashes')}`;
  const depth = fast ? 'files, pairs and headers' : `files, pairs, every pixel and every label${compared}`;
  const problemLines = summariseProblems(problems, folder);
  const warningLines = summariseProblems(warnings, folder);
  const isShortened = problemLines.length + warningLines.length < problems.length + warnings.length;
  const warned = warnings.length === 0 ? null : formatNumber(warnings.length, 'warning');
  const verdict =
    problems.length === 0
      ? `✓ Nothing is wrong${warned === null ? '' : `; ${warned}`}`
      : `✗ ${formatNumber(problems.length, 'problem')}${warned === null ? '' : ` and ${warned}`}`;
  return [
    `${name}${synthetic ? ' (synthetic)' : ''} in ${folder}`,
    ...counts,
    ...deviations.map((deviation) => `  Not as published: ${formatDeviation(deviation)}.`),
    ...problemLines.map((message) => `  ✗ ${message}`),
    ...warningLines.map((message) => `  ! ${message}`),
    ...(isShortened ? ['  --json names every file.'] : []),
    `${verdict} (checked: ${depth}).`,
  ].join('\n');
}
