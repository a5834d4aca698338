import { statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import { freeMemoryOfGpu } from '../engines/hardware.js';
import { liveTensors, type PeakMemory } from '../engines/memory.js';
import { benchmarkSize } from '../measurement/network-cost.js';
import { architecture } from '../network/architecture.js';
import { largestTensors } from '../network/complexity.js';
import { isTrained, parameterSpecs } from '../network/parameters.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { formatBytes } from '../support/format.js';
import { trainingMemory } from '../training/step.js';
import { largestStageMemory, type StageMemory } from './stage-memory.js';

/** Free bytes on the disk of a folder, which need not exist. */
export async function freeDisk(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const parent = path.dirname(folder);
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR'].includes(code) && parent !== folder) return freeDisk(parent);
    throw explainFileError(error, folder, 'read');
  }
}

/** Most checkpoints that exist at a time: the newest to keep, the best, and one that replaces an older one. */
export function mostCheckpoints({ training: { iterations, checkpointEvery } }: Experiment, keep: number): number {
  return Math.min(Math.ceil(iterations / checkpointEvery), keep + 2);
}

/** Bytes of these checkpoints: weights with running statistics, and the momentum of trained parameters. */
export function checkpointsBytes(experiment: Experiment, keep: number): number {
  const bytes = parameterSpecs(architecture(experiment.model))
    .map(({ kind, shape }) => (isTrained(kind) ? 2 : 1) * 4 * shape.reduce((product, n) => product * n, 1))
    .reduce((sum, each) => sum + each, 0);
  return mostCheckpoints(experiment, keep) * bytes;
}

/** A run does not fit. */
export class TooLargeError extends UserError {
  override readonly name = 'TooLargeError';

  constructor(
    message: string,
    next: string,
    /** The change of the recipe with which it fits, as `--set` takes it; null if there is none. */
    readonly change: string | null = null,
  ) {
    super(message, next);
  }
}

export interface ResourcesOptions {
  readonly experiment: Experiment;
  readonly stages: readonly Stage[];
  /** Folder of the run directories; it need not exist. */
  readonly runs: string;
  /** Newest checkpoints to keep, besides the best. */
  readonly keepCheckpoints: number;
  /** Start even if the run does not fit. */
  readonly force: boolean;
}

/** Available resources, in bytes. */
export interface Available {
  /** Main memory that this process may still use. */
  readonly memory: number;
  /** Free memory of the GPU, null if unknown; null if the processor computes. */
  readonly gpu: { readonly free: number | null } | null;
  readonly disk: number;
  /** Existing checkpoints of a resumed run. */
  readonly checkpoints: number;
}

/** Main memory that this process may still use, within a container's limit if Node knows it. */
function availableMemory(): number {
  return process.availableMemory?.() ?? os.freemem();
}

/** Free memory for tensors, of the GPU or main memory; null if unknown. */
export async function availableForTensors(engine: Engine): Promise<number | null> {
  if (engine.device === 'gpu') return freeMemoryOfGpu();
  return Math.min(availableMemory(), engine.addressableBytes ?? Number.POSITIVE_INFINITY);
}

/** What this machine has for a run. @param checkpoints Bytes of existing checkpoints that the run continues. */
export async function availableResources(engine: Engine, runs: string, checkpoints: number): Promise<Available> {
  const gpu = engine.device === 'gpu' ? { free: await freeMemoryOfGpu() } : null;
  return { memory: availableMemory(), gpu, disk: await freeDisk(path.resolve(runs)), checkpoints };
}

/** @throws TooLargeError if the run needs more memory or disk space than is available. */
export async function assertFits(options: ResourcesOptions, engine: Engine, available: Available): Promise<void> {
  await assertMemory(options, engine, available);
  assertDisk(options, available);
}

/** @throws TooLargeError if the run's checkpoints need more disk space than is free. */
export function assertDisk(
  { experiment, stages, runs, keepCheckpoints }: ResourcesOptions,
  available: Pick<Available, 'disk' | 'checkpoints'>,
): void {
  const { row, training } = experiment;
  if (!stages.includes('train')) return;
  const all = checkpointsBytes(experiment, keepCheckpoints);
  if (all - available.checkpoints > available.disk) {
    const existing =
      available.checkpoints === 0 ? '' : `, ${formatBytes(available.checkpoints)} of which already exist,`;
    throw new TooLargeError(
      `${row} writes about ${formatBytes(all)} of checkpoints (every ${training.checkpointEvery} iterations, ` +
        `${mostCheckpoints(experiment, keepCheckpoints)} at a time)${existing} to ${runs}, where ${formatBytes(available.disk)} are free.`,
      'Free some space, choose another folder with --runs, keep fewer (--keep 1), or start anyway with --force.',
    );
  }
}

/** @throws TooLargeError if the run needs more memory than is free, or than its engine can address. */
export async function assertMemory(
  { experiment, stages }: ResourcesOptions,
  engine: Engine,
  { memory, gpu }: Pick<Available, 'memory' | 'gpu'>,
): Promise<void> {
  const { row } = experiment;
  const largest = await largestStageMemory(experiment, stages, engine);
  const { stage, peakBytes, addressedBytes, of } = largest;
  const tensors = `${formatBytes(peakBytes)} of tensors in ${of}`;
  const { addressableBytes } = engine;
  if (addressedBytes !== null && addressableBytes !== null && addressedBytes > addressableBytes) {
    const fits = (peak: PeakMemory) => peak.addressedBytes! <= addressableBytes;
    const batch = await fittingBatch(largest, experiment, engine, fits);
    throw new TooLargeError(
      `${row} needs about ${formatBytes(addressedBytes)} on the ${engine.name} engine (${tensors}, and what its kernels ` +
        `keep besides), which can address ${formatBytes(addressableBytes)}.`,
      `${adviceFor(batch)}Use the native engine (fcn engines install), or run it anyway with --force.`,
      changeTo(batch),
    );
  }
  // Batches made ahead are in main memory, like the tensors without a GPU.
  const aheadBytes = gpu === null ? largest.aheadBytes : 0;
  const tensorBytes = addressedBytes ?? peakBytes;
  const free = gpu === null ? memory : gpu.free;
  if (free === null || tensorBytes + aheadBytes <= free) return;
  const made = stage === 'train' ? 'batches' : 'images';
  const ahead = aheadBytes === 0 ? '' : `, ${formatBytes(aheadBytes)} of ${made} made ahead`;
  const fits = (peak: PeakMemory) => (peak.addressedBytes ?? peak.peakBytes) <= free - aheadBytes;
  const batch = await fittingBatch(largest, experiment, engine, fits);
  throw new TooLargeError(
    `${row} needs about ${formatBytes(tensorBytes + aheadBytes)} of ${gpu === null ? 'memory' : 'GPU memory'} ` +
      `(${tensors}${ahead}), but ${formatBytes(free)} are free.`,
    `${adviceFor(batch)}Free some memory, or start anyway with --force.`,
    changeTo(batch),
  );
}

/** The largest batch whose step fits; null if none does, or another stage does not fit. */
async function fittingBatch(
  { stage }: StageMemory,
  experiment: Experiment,
  engine: Engine,
  fits: (peak: PeakMemory) => boolean,
): Promise<number | null> {
  if (stage !== 'train') return null;
  const { data, training } = experiment;
  // Memory grows with the batch, so bisection finds the largest that fits.
  let [fitting, tooLarge] = [0, training.batch];
  while (tooLarge - fitting > 1) {
    const batch = Math.floor((fitting + tooLarge) / 2);
    if (fits(await trainingMemory(engine, experiment, data.cropHw, batch))) fitting = batch;
    else tooLarge = batch;
  }
  return fitting === 0 ? null : fitting;
}

const changeTo = (batch: number | null) => (batch === null ? null : `training.batch=${batch}`);

const adviceFor = (batch: number | null) =>
  batch === null ? '' : `A batch of ${batch} fits: --set ${changeTo(batch)} (a recorded deviation). `;

/** Number of the largest tensors to name. */
const MOST_NAMED = 3;

/** Explains running out of memory: what takes the memory, and what would help. Returns any other error unchanged. */
export function explainOutOfMemory(error: unknown, stage: Stage, engine: Engine, experiment: Experiment): unknown {
  if (!(error instanceof Error) || error instanceof UserError || !engine.isOutOfMemory(error)) return error;
  const { model, data, training, evaluation, benchmark } = experiment;
  const trains = stage === 'train';
  const size = trains ? data.cropHw : (evaluation.cropHw ?? benchmarkSize(evaluation));
  const batch = trains ? training.batch : stage === 'benchmark' ? benchmark.trainingBatch : 1;
  const largest = largestTensors(model, size, batch, MOST_NAMED).map(
    ({ name, bytes }) => `${name} ${formatBytes(bytes)}`,
  );
  const { bytes, count } = liveTensors(engine);
  const reason = error.message.split('\n', 1)[0]!.slice(0, 200);
  return new UserError(
    `Out of memory in the stage "${stage}" (${reason}): ${count} tensors hold ${formatBytes(bytes)}; the largest of a pass ` +
      `at ${size.join('×')}, batch ${batch}: ${largest.join(', ')}.`,
    helpFor(stage, experiment),
    { cause: error },
  );
}

/** The flag that helps most. */
function helpFor(stage: Stage, { training, evaluation, benchmark }: Experiment): string {
  const smaller = (key: string, batch: number) => `--set ${key}=${Math.max(1, Math.floor(batch / 2))}`;
  const alternative = 'or use a machine with more memory';
  if (stage === 'train' && training.batch > 1) {
    return `Use ${smaller('training.batch', training.batch)} (a recorded deviation), ${alternative}.`;
  }
  if (stage === 'train') return `Use a smaller crop (--set data.cropHw=…, a recorded deviation), ${alternative}.`;
  if (stage === 'benchmark' && benchmark.trainingBatch > 1) {
    return `Use ${smaller('benchmark.trainingBatch', benchmark.trainingBatch)} (a recorded deviation), ${alternative}.`;
  }
  if (evaluation.mode === 'whole') {
    return `Use smaller images (--set evaluation.imageScaleWh=…, a recorded deviation), ${alternative}.`;
  }
  return `Close other programs, ${alternative}.`;
}
