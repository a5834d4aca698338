import type { Engine } from '../engines/engine.js';
import { freeMemoryOfGpu } from '../engines/hardware.js';
import { processMemory } from '../engines/memory.js';
import { type AvailableMemory, availableMemory } from '../support/available-memory.js';
import { UserError } from '../support/errors.js';
import { formatBytes } from '../support/format.js';
import {
  largestStageMemory,
  type MemoryParts,
  type StageMemory,
  type StagesOfRun,
  stepMemory,
} from './stage-memory.js';

/** A run does not fit. */
export class TooLargeError extends UserError {
  override readonly name = 'TooLargeError';

  constructor(
    message: string,
    next: string,
    /** The changes of the recipe with which it fits, one of which is enough, as `--set` takes them. */
    readonly changes: readonly string[] = [],
  ) {
    super(message, next);
  }
}

/** Memory for a run. */
export interface MemoryForRun {
  readonly main: AvailableMemory;
  /** Free memory of the GPU, null if unknown; null if the processor computes. */
  readonly gpu: { readonly free: number | null } | null;
}

/**
 * Memory that a run may have in this process, or in several on this machine.
 * @param processes That there are already, each about as large as this one.
 */
export async function memoryForRun(engine: Engine, processes = 1): Promise<MemoryForRun> {
  const main = availableMemory(processes * processMemory().residentBytes);
  return { main, gpu: engine.device === 'gpu' ? { free: await freeMemoryOfGpu() } : null };
}

/** The part of it that the engine can use, of the GPU or of main memory; null if unknown. */
export function usableBytes(
  { addressableBytes }: Pick<Engine, 'addressableBytes'>,
  { main, gpu }: MemoryForRun,
): number | null {
  return gpu === null ? Math.min(main.bytes, addressableBytes ?? Number.POSITIVE_INFINITY) : gpu.free;
}

/** The same for tensors alone, besides what the process has now. */
export async function availableForTensors(engine: Engine): Promise<number | null> {
  const { main, gpu } = await memoryForRun(engine);
  const bytes = main.bytes - processMemory().residentBytes;
  return usableBytes(engine, { main: { ...main, bytes }, gpu });
}

/** Bytes that a stage needs on this machine: of a GPU's memory for its tensors, or else of main memory. */
export function neededBytes({ peakBytes, togetherBytes }: StageMemory, { device }: Pick<Engine, 'device'>): number {
  return device === 'gpu' ? peakBytes : togetherBytes;
}

/** Compares what a run's largest stage needs with the available memory. @returns what is wrong and what fits; null if it fits. */
export async function memoryProblem(
  run: StagesOfRun,
  engine: Engine,
  available: MemoryForRun,
): Promise<TooLargeError | null> {
  const { experiment } = run;
  const largest = await largestStageMemory(run, engine);
  const { addressableBytes } = engine;
  const { addressedBytes } = largest;
  const free = available.gpu === null ? available.main.bytes : available.gpu.free;
  const share = (memory: StageMemory) =>
    Math.max(
      (memory.addressedBytes ?? 0) / (addressableBytes ?? Number.POSITIVE_INFINITY),
      neededBytes(memory, engine) / (free ?? Number.POSITIVE_INFINITY),
    );
  if (addressedBytes !== null && addressableBytes !== null && addressedBytes > addressableBytes) {
    const changes = await whatFits(largest, run, engine, share);
    return new TooLargeError(
      `${experiment.row} needs about ${formatBytes(addressedBytes)} on the ${engine.name} engine ` +
        `(${formatBytes(largest.peakBytes)} of tensors in ${largest.of}, and what its kernels keep besides), which can ` +
        `address ${formatBytes(addressableBytes)}.`,
      `${adviceFor(changes)}Use the native engine (fcn engines install), or run it anyway with --force.`,
      changes,
    );
  }
  if (free === null || neededBytes(largest, engine) <= free) return null;
  const changes = await whatFits(largest, run, engine, share);
  return new TooLargeError(
    `${experiment.row} needs about ${describeMemory(largest, engine)}, but ${describeAvailable(available)}.`,
    `${adviceFor(changes)}Free some memory, or start anyway with --force.`,
    changes,
  );
}

const PART_NAMES: Readonly<Record<keyof MemoryParts, string>> = {
  tensors: 'tensors',
  libraries: "the engine's scratch and gaps",
  program: 'the program and its libraries',
  samples: 'images being read',
  checkpoint: 'a checkpoint being written',
  threads: 'threads that predict',
};

/** "6.2 GB of memory in a training step: 4.0 GB for tensors, …", largest parts first. */
function describeMemory(memory: StageMemory, engine: Pick<Engine, 'device'>): string {
  const { of, parts, peakBytes, processBytes, processes, togetherBytes } = memory;
  if (engine.device === 'gpu') return `${formatBytes(peakBytes)} of GPU memory for the tensors in ${of}`;
  const named = (Object.entries(parts) as [keyof MemoryParts, number][])
    .filter(([, bytes]) => bytes > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([name, bytes]) => `${formatBytes(bytes)} for ${PART_NAMES[name]}`);
  const summands = `${named.join(', ')}, and a margin`;
  if (processes === 1) return `${formatBytes(processBytes)} of memory in ${of} (${summands})`;
  return (
    `${formatBytes(togetherBytes)} of memory in ${of} in ${processes} processes on this machine ` +
    `(up to ${formatBytes(processBytes)} in each: ${summands})`
  );
}

/** "8.0 GB are available: the container's limit is 10.0 GB (FILE)". */
function describeAvailable({ main, gpu }: MemoryForRun): string {
  if (gpu !== null) return `${formatBytes(gpu.free ?? 0)} are free`;
  const { bytes, limitFile, totalBytes } = main;
  const limit =
    main.origin ??
    (limitFile === null
      ? `the machine has ${formatBytes(totalBytes)}`
      : `the container's limit is ${formatBytes(totalBytes)} (${limitFile})`);
  return `${formatBytes(bytes)} are available: ${limit}`;
}

/**
 * The largest batch and the largest crop whose step fits, as changes of the recipe; none if another stage does not fit.
 * @param share Of the memory that is available, as a fraction: up to 1 fits.
 */
async function whatFits(
  largest: StageMemory,
  { experiment, processes }: StagesOfRun,
  engine: Engine,
  share: (memory: StageMemory) => number,
): Promise<string[]> {
  const { stage } = largest;
  if (stage !== 'train') return [];
  const { data, training } = experiment;
  const tooMuch = share(largest);
  // Processes have equally many images.
  const unit = processes?.count ?? 1;
  const units = await largestFitting({ count: training.batch / unit, share: tooMuch }, 1, async (count) =>
    share(await stepMemory(experiment, stage, count * unit, engine, processes)),
  );
  const parts = Math.max(1, Math.floor(Math.max(...data.cropHw) / SIDE_STEP));
  // Memory grows with the area.
  const crop = await largestFitting({ count: parts, share: tooMuch }, 2, async (part) => {
    const smaller = { ...experiment, data: { ...data, cropHw: partOfCrop(data.cropHw, part, parts) } };
    return share(await stepMemory(smaller, stage, training.batch, engine, processes));
  });
  return [
    ...(units === 0 ? [] : [`training.batch=${units * unit}`]),
    ...(crop === 0 ? [] : [`data.cropHw=[${partOfCrop(data.cropHw, crop, parts)}]`]),
  ];
}

function adviceFor(changes: readonly string[]): string {
  if (changes.length === 0) return '';
  return `It fits with ${changes.map((change) => `--set ${change}`).join(' or ')} (a recorded deviation). `;
}

/** Sides of crops are tried in steps of this many pixels. */
const SIDE_STEP = 8;

/** Sides of part / parts of a crop, in multiples of 8 pixels, plus 1 if the crop's are: aligned networks need that. */
function partOfCrop(cropHw: readonly [number, number], part: number, parts: number): [number, number] {
  const sides = cropHw.map(
    (side) =>
      SIDE_STEP * Math.max(1, Math.floor((side / SIDE_STEP) * (part / parts))) + (side % SIDE_STEP === 1 ? 1 : 0),
  );
  return sides as [number, number];
}

/** What is found is at least 16/17 of the largest number that fits, and of up to 16 that number itself. */
const CLOSE = 16;

/** A number of something, and its share of the available memory. */
interface Tried {
  readonly count: number;
  readonly share: number;
}

/**
 * About the largest number below `tooLarge` that fits; 0 if none does. Memory grows with about this power of the number, which says where
 * to look next; every third time it is the middle between what fits and what does not, so that few steps are enough in any case.
 */
async function largestFitting(
  tooLarge: Tried,
  power: number,
  shareOf: (count: number) => Promise<number>,
): Promise<number> {
  if (tooLarge.count <= 1) return 0;
  let above = tooLarge;
  let below: Tried = { count: 1, share: await shareOf(1) };
  if (below.share > 1) return 0;
  for (let step = 0; ; step++) {
    const margin = Math.max(1, Math.floor(below.count / CLOSE));
    if (above.count - below.count <= margin) return below.count;
    const between = (1 - below.share) / (above.share - below.share);
    const [low, high] = [below.count ** power, above.count ** power];
    const expected = (low + between * (high - low)) ** (1 / power);
    const next = Math.floor(step % 3 === 2 ? Math.sqrt(below.count * above.count) : expected);
    const count = Math.max(below.count + margin, Math.min(next, above.count - margin));
    const tried = { count, share: await shareOf(count) };
    if (tried.share <= 1) below = tried;
    else above = tried;
  }
}
