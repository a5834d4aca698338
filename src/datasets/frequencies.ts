import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { IGNORE_INDEX, type Size } from '../data/image.js';
import { countAbsentClasses } from '../data/label-inventory.js';
import { isSynthetic } from '../data/markers.js';
import { datasetFolder, readSplit, type SplitEntry } from '../data/split.js';
import { defaultWorkers, doInWorkers, workersFor } from '../data/workers/pool.js';
import { formatCount, formatNumber, formatShare } from '../support/format.js';
import type { CountWorkerData } from './count-worker.js';
import { countLabels, type LabelCounts } from './label-counts.js';

interface FrequencyOptions {
  readonly dataset: Dataset;
  readonly split: string;
  readonly dataRoot: string;
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

interface ClassFrequency {
  /** Training id. */
  readonly id: number;
  readonly name: string;
  readonly colour: readonly [red: number, green: number, blue: number];
  readonly pixels: number;
  /** Share of the pixels that have a class, in [0, 1]. */
  readonly share: number;
  /** Images that hold it. */
  readonly images: number;
}

/** Class frequencies in the labels of a split. */
export interface Frequencies {
  readonly dataset: string;
  readonly name: string;
  readonly split: string;
  readonly folder: string;
  readonly synthetic: boolean;
  readonly images: number;
  /** Sizes of the images with the fewest and the most pixels. */
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
  const { dataset, split, dataRoot, signal, onProgress } = options;
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
  await doInWorkers<SplitEntry, LabelCounts>(new URL('./count-worker.js', import.meta.url), {
    workers: options.workers ?? workersFor(entries.length, defaultWorkers() + 1),
    here: (entry) => countLabels(entry, dataset),
    workerData: data,
    tasks: entries,
    count: entries.length,
    signal,
    onResult: add,
  });
  const total = pixels.reduce((sum, count) => sum + count, 0);
  const ignored = pixels[IGNORE_INDEX]!;
  // Sizes of the same area are sorted by height, so that the result does not depend on the order of the workers.
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

interface FrequencyLayout {
  /** Classes by their frequency or by their id. */
  readonly sort: 'frequency' | 'id';
  /** Columns of the terminal. */
  readonly columns: number;
  /** Bars in the colours of the classes, for terminals of 24-bit colours. */
  readonly colour: boolean;
}

/** Longer names are cut; the longest published one has 19 characters. */
const LONGEST_NAME = 22;

/** One eighth to seven eighths of a cell. */
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** A bar whose length in cells is rounded to an eighth, but not to 0. */
function bar(cells: number): string {
  const eighths = cells > 0 ? Math.max(1, Math.round(cells * 8)) : 0;
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

function cut(name: string, width: number): string {
  return name.length > width ? `${name.slice(0, width - 1)}…` : name.padEnd(width);
}

const formatSize = ({ height, width }: Size) => `${height}x${width}`;

/** The class frequencies of a split as lines for a terminal, with a bar for each class; the longest fills the width. */
export function formatFrequencies(frequencies: Frequencies, { sort, columns, colour }: FrequencyLayout): string {
  const { name, split, synthetic, images, smallest, largest, pixels, ignored, classes } = frequencies;
  const [from, to] = [smallest, largest].map(formatSize);
  const width = Math.min(LONGEST_NAME, Math.max('class'.length, ...classes.map((one) => one.name.trim().length)));
  const digits = Math.max('images'.length, String(images).length);
  // Two blanks between columns; shares are "100.00 %".
  const room = Math.max(10, columns - width - digits - '100.00 %'.length - 6);
  const highest = Math.max(...classes.map(({ share }) => share));
  const line = (one: ClassFrequency) => {
    const drawn = bar(highest === 0 ? 0 : (one.share / highest) * room);
    const [red, green, blue] = one.colour;
    const shown = colour && drawn !== '' ? `\u001b[38;2;${red};${green};${blue}m${drawn}\u001b[39m` : drawn;
    const share = `${formatShare(one.share)} %`.padStart('100.00 %'.length);
    return `${cut(one.name.trim(), width)}  ${share}  ${String(one.images).padStart(digits)}  ${shown}`.trimEnd();
  };
  const sorted = sort === 'id' ? classes : [...classes].sort((a, b) => b.pixels - a.pixels || a.id - b.id);
  const absent = classes.filter((one) => one.pixels === 0).length;
  return [
    `${name}${synthetic ? ' (synthetic)' : ''}, ${split}: ${formatNumber(images, 'image')} of ${from === to ? from : `${from} to ${to}`} (HxW)`,
    `${formatCount(pixels)} pixels, ${ignored === 0 ? 'none ignored' : `${formatShare(ignored / pixels)} % of them ignored`}` +
      `${absent === 0 ? '' : `; ${countAbsentClasses(absent, classes.length)}`}`,
    '',
    `${'class'.padEnd(width)}  ${'share'.padStart('100.00 %'.length)}  ${'images'.padStart(digits)}`,
    ...sorted.map(line),
  ].join('\n');
}
