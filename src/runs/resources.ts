import { statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import { liveTensors } from '../engines/memory.js';
import { benchmarkSize } from '../measurement/network-cost.js';
import { largestTensors } from '../network/complexity.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { formatBytes } from '../support/format.js';
import { checkpointBytes } from './main-memory.js';
import { type MemoryForRun, memoryForRun, memoryProblem, TooLargeError } from './memory-check.js';
import type { StagesOfRun } from './stage-memory.js';

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

/** Bytes of these checkpoints. */
export function checkpointsBytes(experiment: Experiment, keep: number): number {
  return mostCheckpoints(experiment, keep) * checkpointBytes(experiment);
}

export interface ResourcesOptions extends StagesOfRun {
  /** Folder of the run directories; it need not exist. */
  readonly runs: string;
  /** Newest checkpoints to keep, besides the best. */
  readonly keepCheckpoints: number;
  /** Start even if the run does not fit. */
  readonly force: boolean;
  /** See `PredictionWork`. */
  readonly threads?: number | undefined;
}

/** Available resources, in bytes. */
export interface Available extends MemoryForRun {
  readonly disk: number;
  /** Existing checkpoints of a resumed run. */
  readonly checkpoints: number;
}

/**
 * What this machine has for a run.
 * @param checkpoints Bytes of existing checkpoints that the run continues.
 * @param processes Of the run that are on this machine already.
 */
export async function availableResources(
  engine: Engine,
  runs: string,
  checkpoints: number,
  processes: number,
): Promise<Available> {
  return { ...(await memoryForRun(engine, processes)), disk: await freeDisk(path.resolve(runs)), checkpoints };
}

/** @throws TooLargeError if the run needs more memory or disk space than is available. */
export async function assertFits(options: ResourcesOptions, engine: Engine, available: Available): Promise<void> {
  const problem = await memoryProblem(options, engine, available);
  if (problem !== null) throw problem;
  assertDisk(options, available);
}

/** The most checkpoints to keep, fewer than now, whose bytes fit onto the disk; null if not even one does. */
export function keepThatFits(
  { experiment, keepCheckpoints }: Pick<ResourcesOptions, 'experiment' | 'keepCheckpoints'>,
  { disk, checkpoints }: Pick<Available, 'disk' | 'checkpoints'>,
): number | null {
  for (let keep = keepCheckpoints - 1; keep > 0; keep--) {
    if (checkpointsBytes(experiment, keep) - checkpoints <= disk) return keep;
  }
  return null;
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
    const keep = keepThatFits({ experiment, keepCheckpoints }, available);
    const fewer = keep === null ? '' : ` keep fewer (--keep ${keep}),`;
    throw new TooLargeError(
      `${row} writes about ${formatBytes(all)} of checkpoints (every ${training.checkpointEvery} iterations, ` +
        `${mostCheckpoints(experiment, keepCheckpoints)} at a time)${existing} to ${runs}, where ${formatBytes(available.disk)} are free.`,
      `Free some space, choose another folder with --runs,${fewer} or start anyway with --force.`,
    );
  }
}

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
