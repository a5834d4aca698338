import path from 'node:path';
import { isThere } from '../../support/files.js';
import type { Dataset } from '../datasets/dataset.js';
import type { Size } from '../image.js';
import type { GenerateWorkerData } from '../workers/generate-worker.js';
import { WorkerPool } from '../workers/pool.js';
import { defaultWorkers } from '../workers/prefetch.js';
import type { GenerateTask } from './plan.js';

export interface PaintOptions {
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
  const module = new URL('../workers/generate-worker.js', import.meta.url);
  const pool = await WorkerPool.start<GenerateTask, null>(module, workers, data);
  try {
    await pool.runAll(missing, workers, { signal, onResult: () => onProgress?.(++done, tasks.length) });
  } finally {
    await pool.close();
  }
  return missing.length;
}
