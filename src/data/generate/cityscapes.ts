import { access, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError, writeFileAtomic } from '../../support/files.js';
import { SYNTHETIC_MARKER } from '../datasets/synthetic.js';
import type { Size } from '../image.js';
import type { GenerateTask, GenerateWorkerData } from '../workers/generate-worker.js';
import { WorkerPool } from '../workers/pool.js';
import { defaultWorkers } from '../workers/prefetch.js';

/** Changed whenever the same seed would give other pictures. */
const VERSION = 1;

const TRAIN_CITIES = ['arkenstadt', 'birkenau', 'carlsruh'] as const;
const VAL_CITIES = ['dornbach'] as const;

/** Smaller pictures do not show what is in them. */
const SMALLEST: Size = { height: 32, width: 64 };

export interface GenerateOptions {
  /** The data set's own folder, <data root>/cityscapes. */
  readonly directory: string;
  /** Images in all: a quarter (at least one) for validation, the others for training. */
  readonly images: number;
  readonly size: Size;
  readonly seed: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
  readonly workers?: number;
}

export interface GenerateResult {
  readonly train: number;
  readonly val: number;
  /** Images written now; the others were there already. */
  readonly written: number;
}

/** Where the images of a set go: paths of the files of one image, relative to the data set's folder. */
export function plan(images: number): GenerateTask[] {
  const val = Math.max(1, Math.round(images / 4));
  return Array.from({ length: images }, (_, index) => {
    const train = index < images - val;
    const within = train ? index : index - (images - val);
    const cities = train ? TRAIN_CITIES : VAL_CITIES;
    const city = cities[within % cities.length]!;
    const sequence = String(Math.floor(within / cities.length)).padStart(6, '0');
    const name = `${city}_${sequence}_000019`;
    const split = train ? 'train' : 'val';
    return {
      index,
      image: path.join('leftImg8bit', split, city, `${name}_leftImg8bit.png`),
      labelIds: path.join('gtFine', split, city, `${name}_gtFine_labelIds.png`),
      trainingIds: path.join('gtFine', split, city, `${name}_gtFine_labelTrainIds.png`),
    };
  });
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/**
 * Marks the folder as one of synthetic data of these settings.
 * @throws UserError where it holds other data.
 */
async function claim(directory: string, settings: string): Promise<void> {
  const marker = path.join(directory, SYNTHETIC_MARKER);
  let held: string[];
  try {
    held = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, directory, 'read');
    held = [];
  }
  if (held.includes(SYNTHETIC_MARKER)) {
    if ((await readFile(marker, 'utf8')) === settings) return;
    throw new UserError(
      `${directory} holds synthetic data made with other settings (see ${marker}).`,
      'Use the same number of images, size and seed, remove the folder, or choose another --data-root.',
    );
  }
  if (held.length > 0) {
    throw new UserError(
      `${directory} holds data that was not generated here (${held.slice(0, 3).join(', ')}).`,
      'Synthetic data is not mixed with other data: choose another --data-root.',
    );
  }
  await writeFileAtomic(marker, settings);
}

/**
 * Writes a synthetic data set in Cityscapes' folder layout and file formats: RGB PNGs in leftImg8bit, label ids and training
 * ids as 8-bit grey PNGs in gtFine. The same settings give the same files. Files that are there already are left, so an
 * interrupted run is resumed by the same call.
 * @throws UserError for impossible settings, a folder with other data, a full disk or a folder that cannot be written.
 */
export async function generateCityscapes(options: GenerateOptions): Promise<GenerateResult> {
  const { directory, images, size, seed, onProgress, signal } = options;
  if (images < 2)
    throw new UserError(`${images} image is too few: one of each split is needed.`, 'Give at least 2 images.');
  if (size.height < SMALLEST.height || size.width < SMALLEST.width) {
    throw new UserError(
      `Images of ${size.height}x${size.width} are too small.`,
      `Give at least ${SMALLEST.height}x${SMALLEST.width} (height x width).`,
    );
  }
  const settings = { generator: 'fcn datasets generate', version: VERSION, images, ...size, seed };
  await claim(directory, `${JSON.stringify(settings, null, 2)}\n`);

  const tasks = plan(images);
  const missing: GenerateTask[] = [];
  for (const task of tasks) {
    const files = [task.image, task.labelIds, task.trainingIds].map((file) => path.join(directory, file));
    if (!(await Promise.all(files.map(exists))).every(Boolean)) missing.push(task);
  }
  const val = tasks.filter(({ image }) => image.startsWith(path.join('leftImg8bit', 'val'))).length;
  const result = { train: images - val, val, written: missing.length };
  let done = images - missing.length;
  onProgress?.(done, images);
  if (missing.length === 0) return result;

  const data: GenerateWorkerData = { directory, size, seed };
  const workers = Math.min(options.workers ?? defaultWorkers() + 1, missing.length);
  const module = new URL('../workers/generate-worker.js', import.meta.url);
  const pool = await WorkerPool.start<GenerateTask, null>(module, workers, data);
  const queue = missing.values();
  const work = async (): Promise<void> => {
    for (const task of queue) {
      signal?.throwIfAborted();
      await pool.run(task);
      onProgress?.(++done, images);
    }
  };
  try {
    await Promise.all(Array.from({ length: workers }, work));
  } finally {
    await pool.close();
  }
  return result;
}
