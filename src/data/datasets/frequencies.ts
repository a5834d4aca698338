import path from 'node:path';
import { IGNORE_INDEX } from '../batch.js';
import type { Size } from '../image.js';
import type { CountWorkerData, LabelCounts } from '../workers/count-worker.js';
import { WorkerPool } from '../workers/pool.js';
import { defaultWorkers } from '../workers/prefetch.js';
import type { Dataset } from './dataset.js';
import { datasetFolder, type Entry, readSplit } from './read-split.js';
import { isSynthetic } from './synthetic.js';

export interface FrequencyOptions {
  readonly dataset: Dataset;
  readonly split: string;
  readonly dataRoot: string;
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** How often a class occurs. */
export interface ClassFrequency {
  /** Training id. */
  readonly id: number;
  readonly name: string;
  readonly colour: readonly [red: number, green: number, blue: number];
  readonly pixels: number;
  /** Part of the pixels that have a class: in [0, 1]. */
  readonly share: number;
  /** Images that hold it. */
  readonly images: number;
}

/** What the labels of a split hold. */
export interface Frequencies {
  readonly dataset: string;
  readonly name: string;
  readonly split: string;
  readonly folder: string;
  readonly synthetic: boolean;
  readonly images: number;
  /** The images of fewest and of most pixels. */
  readonly smallest: Size;
  readonly largest: Size;
  readonly pixels: number;
  /** Pixels without a class. */
  readonly ignored: number;
  /** By training id. */
  readonly classes: readonly ClassFrequency[];
}

/**
 * Counts the classes in all labels of a split, exactly.
 * @throws UserError for a missing or broken file; the signal's reason when aborted.
 */
export async function classFrequencies(options: FrequencyOptions): Promise<Frequencies> {
  const { dataset, split, dataRoot, signal, onProgress, workers = defaultWorkers() + 1 } = options;
  const entries = await readSplit(dataset, split, dataRoot);
  // Float64 counts are exact up to 2^53: four billion images of 2048×1024.
  const pixels = new Float64Array(256);
  const images = new Float64Array(256);
  const sizes: Size[] = [];
  const add = ({ height, width, counts }: LabelCounts) => {
    sizes.push({ height, width });
    for (const [id, count] of counts.entries()) {
      pixels[id]! += count;
      if (count > 0) images[id]!++;
    }
    onProgress?.(sizes.length, entries.length);
  };
  const data: CountWorkerData = { dataset };
  const module = new URL('../workers/count-worker.js', import.meta.url);
  const pool = await WorkerPool.start<Entry, LabelCounts>(module, Math.min(workers, entries.length), data);
  try {
    await pool.runAll(entries, 2 * workers, { signal, onResult: add });
  } finally {
    await pool.close();
  }
  const total = pixels.reduce((sum, count) => sum + count, 0);
  const ignored = pixels[IGNORE_INDEX]!;
  // Sizes of the same area are told apart by their height, so that the order of the workers does not show.
  sizes.sort((a, b) => a.height * a.width - b.height * b.width || a.height - b.height);
  const folder = datasetFolder(dataset, dataRoot);
  return {
    dataset: dataset.id,
    name: dataset.name,
    split,
    folder: path.resolve(folder),
    synthetic: isSynthetic(folder),
    images: entries.length,
    smallest: sizes[0]!,
    largest: sizes.at(-1)!,
    pixels: total,
    ignored,
    classes: dataset.classes.map((name, id) => ({
      id,
      name,
      colour: dataset.palette[id]!,
      pixels: pixels[id]!,
      share: total === ignored ? 0 : pixels[id]! / (total - ignored),
      images: images[id]!,
    })),
  };
}
