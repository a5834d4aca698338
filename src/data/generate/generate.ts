import { access } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import type { Dataset } from '../datasets/dataset.js';
import type { SyntheticSettings } from '../datasets/synthetic.js';
import type { Size } from '../image.js';
import type { GenerateWorkerData } from '../workers/generate-worker.js';
import { WorkerPool } from '../workers/pool.js';
import { defaultWorkers } from '../workers/prefetch.js';
import { imitationOf } from './imitations.js';
import { claimFolder } from './marker.js';
import { type GenerateTask, plan } from './plan.js';

/** Smaller pictures do not show what is in them. */
const SMALLEST: Readonly<Record<'streets' | 'classes', Size>> = {
  streets: { height: 32, width: 64 },
  classes: { height: 48, width: 48 },
};

export interface GenerateOptions {
  readonly dataset: Dataset;
  /** The data set's own folder, <data root>/<folder>. */
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

export interface GenerateResult {
  readonly train: number;
  readonly val: number;
  readonly size: Size;
  /** Images are of this size at most. */
  readonly sizesDiffer: boolean;
  /** Images written now; the others were there already. */
  readonly written: number;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function missingOf(tasks: readonly GenerateTask[], directory: string): Promise<GenerateTask[]> {
  const missing: GenerateTask[] = [];
  for (const task of tasks) {
    const files = [task.image, task.label, ...(task.labelIds === null ? [] : [task.labelIds])];
    const there = await Promise.all(files.map((file) => exists(path.join(directory, file))));
    if (!there.every(Boolean)) missing.push(task);
  }
  return missing;
}

/**
 * Writes a synthetic data set in a real one's folder layout and file formats. The same settings give the same files. Files that
 * are there already are left, so an interrupted run is resumed by the same call; split lists come last.
 * @throws UserError for impossible settings, a folder with other data, a full disk or a folder that cannot be written.
 */
export async function generateDataset(options: GenerateOptions): Promise<GenerateResult> {
  const { dataset, directory, images, seed, onProgress, signal } = options;
  const imitation = imitationOf(dataset.id);
  const size = options.size ?? imitation.size;
  const smallest = SMALLEST[imitation.scenes];
  if (size.height < smallest.height || size.width < smallest.width) {
    throw new UserError(
      `Images of ${size.height}x${size.width} are too small.`,
      `Give at least ${smallest.height}x${smallest.width} (height x width).`,
    );
  }
  const { tasks, splits, lists } = plan(imitation, dataset, images);
  const settings: SyntheticSettings = {
    generator: 'fcn datasets generate',
    version: imitation.version,
    imitates: imitation.id,
    images: splits,
    size: { height: size.height, width: size.width },
    seed,
  };
  await claimFolder(directory, settings);

  const missing = await missingOf(tasks, directory);
  let done = images - missing.length;
  onProgress?.(done, images);
  if (missing.length > 0) {
    const data: GenerateWorkerData = { directory, dataset, size, seed };
    const workers = Math.min(options.workers ?? defaultWorkers() + 1, missing.length);
    const module = new URL('../workers/generate-worker.js', import.meta.url);
    const pool = await WorkerPool.start<GenerateTask, null>(module, workers, data);
    try {
      await pool.runAll(missing, workers, {
        signal,
        onResult: () => onProgress?.(++done, images),
      });
    } finally {
      await pool.close();
    }
  }
  for (const [list, names] of Object.entries(lists)) {
    if (!(await exists(path.join(directory, list)))) await writeFileAtomic(path.join(directory, list), names);
  }
  const { train = 0, val = 0 } = splits;
  return { train, val, size, sizesDiffer: imitation.sizesDiffer, written: missing.length };
}
