import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import type { Size } from '../../data/image.js';
import type { SyntheticSettings } from '../../data/markers.js';
import { defaultWorkers, doInWorkers } from '../../data/workers/pool.js';
import { UserError } from '../../support/errors.js';
import { isThere, writeFileAtomic } from '../../support/files.js';
import { type Imitation, imitationOf } from './imitations.js';
import { Painter, type PainterSettings } from './painter.js';
import { claimFolder, countSplits, type GenerateTask, type PlacedImage, placeImages, planFiles } from './plan.js';

/** Smallest sizes at which the content of a picture can be seen. */
const SMALLEST: Readonly<Record<'streets' | 'classes', Size>> = {
  streets: { height: 32, width: 64 },
  classes: { height: 48, width: 48 },
};

export interface GenerateOptions {
  readonly dataset: Dataset;
  /** The data set's folder, <data root>/<folder>; for raw downloads, any folder. */
  readonly directory: string;
  /** Number of images: a quarter (at least one) for validation, the others for training. */
  readonly images: number;
  /** Of every image, or of the largest if they differ. Default: that of the real data set. */
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
  /** Whether `size` is only the largest size. */
  readonly sizesDiffer: boolean;
  /** Images (of raw downloads, archives) written now; the others were there already. */
  readonly written: number;
}

/** The images to paint. */
export interface Generation {
  readonly imitation: Imitation;
  readonly size: Size;
  readonly placed: readonly PlacedImage[];
  /** Content of the marker. */
  readonly settings: SyntheticSettings;
}

/**
 * Checks the options and places the images; writes nothing.
 * @param generator The command, as the marker names it.
 * @throws UserError for a data set that cannot be imitated, and for images that are too small or too few.
 */
export function planGeneration(options: GenerateOptions, generator: string): Generation {
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

/** What a generation reports when it is finished. */
export function resultOf({ imitation, size, settings }: Generation, written: number): GenerateResult {
  const { train = 0, val = 0 } = settings.images;
  return { train, val, size, sizesDiffer: imitation.sizesDiffer, written };
}

/**
 * Writes a synthetic data set in a real one's folder layout and file formats. The same settings give the same files. Existing
 * files are kept, so the same call resumes an interrupted run; split lists are written last.
 * @throws UserError for impossible settings, a folder with other data, a full disk or a folder that cannot be written.
 */
export async function generateDataset(options: GenerateOptions): Promise<GenerateResult> {
  const { directory } = options;
  const generation = planGeneration(options, 'fcn datasets generate');
  const { imitation, size, placed, settings } = generation;
  const { tasks, lists } = planFiles(imitation, placed);
  await claimFolder(directory, settings, '--data-root');
  const written = await paintFiles(tasks, { ...options, size });
  for (const [list, names] of Object.entries(lists)) {
    if (!(await isThere(path.join(directory, list)))) await writeFileAtomic(path.join(directory, list), names);
  }
  return resultOf(generation, written);
}

interface PaintOptions extends Omit<GenerateOptions, 'images'> {
  readonly size: Size;
}

/** Fewer are painted before a worker has started. */
const PIXELS_A_WORKER = 2 ** 18;

async function missingOf(tasks: readonly GenerateTask[], directory: string): Promise<GenerateTask[]> {
  const missing: GenerateTask[] = [];
  for (const task of tasks) {
    const there = await Promise.all(task.files.map(({ file }) => isThere(path.join(directory, file))));
    if (!there.every(Boolean)) missing.push(task);
  }
  return missing;
}

/**
 * Paints images and writes their files, unless all files of an image exist. If there is little to paint, no worker is started.
 * @returns The number of images painted.
 * @throws UserError for a full disk or a folder that cannot be written; the signal's reason when aborted.
 */
export async function paintFiles(tasks: readonly GenerateTask[], options: PaintOptions): Promise<number> {
  const { dataset, directory, size, seed, onProgress, signal } = options;
  const missing = await missingOf(tasks, directory);
  let done = tasks.length - missing.length;
  onProgress?.(done, tasks.length);
  if (missing.length === 0) return 0;
  const data: PainterSettings = { directory, dataset, size, seed };
  const pixels = missing.length * size.height * size.width;
  const painter = new Painter(data);
  await doInWorkers<GenerateTask, null>(new URL('./generate-worker.js', import.meta.url), {
    workers: options.workers ?? Math.min(defaultWorkers() + 1, Math.floor(pixels / PIXELS_A_WORKER)),
    here: (task) => painter.paint(task),
    workerData: data,
    tasks: missing,
    count: missing.length,
    signal,
    onResult: () => onProgress?.(++done, tasks.length),
  });
  return missing.length;
}
