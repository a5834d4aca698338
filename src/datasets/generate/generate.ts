import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import type { Size } from '../../data/image.js';
import type { SyntheticSettings } from '../../data/markers.js';
import { defaultWorkers, WorkerPool } from '../../data/workers/pool.js';
import { UserError } from '../../support/errors.js';
import { isThere, writeFileAtomic } from '../../support/files.js';
import type { GenerateWorkerData } from './generate-worker.js';
import { type Imitation, imitationOf } from './imitations.js';
import { claimFolder, countSplits, type GenerateTask, type PlacedImage, placeImages, planFiles } from './plan.js';

/** Smaller pictures do not show what is in them. */
const SMALLEST: Readonly<Record<'streets' | 'classes', Size>> = {
  streets: { height: 32, width: 64 },
  classes: { height: 48, width: 48 },
};

export interface GenerateOptions {
  readonly dataset: Dataset;
  /** The data set's own folder, <data root>/<folder>; of raw downloads any. */
  readonly directory: string;
  /** Images in all: a quarter (at least one) for validation, the others for training. */
  readonly images: number;
  /** Of the images, or of the largest where they differ; that of the real data set where not given. */
  readonly size?: Size | undefined;
  readonly seed: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
  readonly workers?: number;
}

interface GenerateResult {
  readonly train: number;
  readonly val: number;
  readonly size: Size;
  /** Images are of this size at most. */
  readonly sizesDiffer: boolean;
  /** Images written now; the others were there already. */
  readonly written: number;
}

/** What is to be painted, settled before anything is written. */
export interface Commission {
  readonly imitation: Imitation;
  readonly size: Size;
  readonly placed: readonly PlacedImage[];
  /** Contents of the marker. */
  readonly settings: SyntheticSettings;
}

/**
 * @param generator The command, as the marker names it.
 * @throws UserError for a data set that cannot be imitated, images that are too small or too few.
 */
export function commission(options: GenerateOptions, generator: string): Commission {
  const { dataset, images, seed } = options;
  const imitation = imitationOf(dataset.id);
  const size = options.size ?? imitation.size;
  const smallest = SMALLEST[imitation.scenes];
  if (size.height < smallest.height || size.width < smallest.width) {
    throw new UserError(
      `Images of ${size.height}x${size.width} are too small.`,
      `Give at least ${smallest.height}x${smallest.width} (height x width).`,
    );
  }
  const placed = placeImages(imitation, dataset, images);
  const settings: SyntheticSettings = {
    generator,
    version: imitation.version,
    imitates: imitation.id,
    images: countSplits(placed),
    size: { height: size.height, width: size.width },
    seed,
  };
  return { imitation, size, placed, settings };
}

/**
 * Writes a synthetic data set in a real one's folder layout and file formats. The same settings give the same files. Files that
 * are there already are left, so an interrupted run is resumed by the same call; split lists come last.
 * @throws UserError for impossible settings, a folder with other data, a full disk or a folder that cannot be written.
 */
export async function generateDataset(options: GenerateOptions): Promise<GenerateResult> {
  const { directory } = options;
  const { imitation, size, placed, settings } = commission(options, 'fcn datasets generate');
  const { tasks, lists } = planFiles(imitation, placed);
  await claimFolder(directory, settings, '--data-root');
  const written = await paintFiles(tasks, { ...options, size });
  for (const [list, names] of Object.entries(lists)) {
    if (!(await isThere(path.join(directory, list)))) await writeFileAtomic(path.join(directory, list), names);
  }
  const { train = 0, val = 0 } = settings.images;
  return { train, val, size, sizesDiffer: imitation.sizesDiffer, written };
}

interface PaintOptions {
  readonly dataset: Dataset;
  /** Folder of the tasks' files. */
  readonly directory: string;
  readonly size: Size;
  readonly seed: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
  readonly workers?: number;
}

async function missingOf(tasks: readonly GenerateTask[], directory: string): Promise<GenerateTask[]> {
  const missing: GenerateTask[] = [];
  for (const task of tasks) {
    const there = await Promise.all(task.files.map(({ file }) => isThere(path.join(directory, file))));
    if (!there.every(Boolean)) missing.push(task);
  }
  return missing;
}

/**
 * Paints images in worker threads and writes their files. Images of which all files are there already are left.
 * @returns How many were painted.
 * @throws UserError for a full disk or a folder that cannot be written; the signal's reason when aborted.
 */
export async function paintFiles(tasks: readonly GenerateTask[], options: PaintOptions): Promise<number> {
  const { dataset, directory, size, seed, onProgress, signal } = options;
  const missing = await missingOf(tasks, directory);
  let done = tasks.length - missing.length;
  onProgress?.(done, tasks.length);
  if (missing.length === 0) return 0;
  const data: GenerateWorkerData = { directory, dataset, size, seed };
  const workers = Math.min(options.workers ?? defaultWorkers() + 1, missing.length);
  const module = new URL('./generate-worker.js', import.meta.url);
  const pool = await WorkerPool.start<GenerateTask, null>(module, workers, data);
  try {
    await pool.runAll(missing, workers, { signal, onResult: () => onProgress?.(++done, tasks.length) });
  } finally {
    await pool.close();
  }
  return missing.length;
}
