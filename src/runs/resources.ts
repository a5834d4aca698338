import os from 'node:os';
import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import { freeMemoryOfGpu } from '../engines/nvidia.js';
import type { Experiment } from '../experiments/experiment.js';
import { trainingMemory } from '../nn/memory.js';
import { UserError } from '../support/errors.js';
import { formatBytes } from '../support/format.js';
import { checkpointsSize } from '../training/checkpoint-folder.js';
import { checkpointsBytes, freeDisk, mostCheckpoints } from './run-disk.js';
import { largestStageMemory } from './stage-memory.js';
import type { Stage } from './stage-names.js';

export interface ResourcesOptions {
  readonly experiment: Experiment;
  readonly stages: readonly Stage[];
  /** Folder of the run directories; it need not be there. */
  readonly runs: string;
  /** Newest checkpoints that stay, besides the best. */
  readonly keepCheckpoints: number;
  /** Go on although it does not fit. */
  readonly force: boolean;
}

/** What is there, bytes. */
export interface Available {
  /** Main memory that this process may still take. */
  readonly memory: number;
  /** Where a GPU computes: its free memory, null where nobody tells. Null where the processor computes. */
  readonly gpu: { readonly free: number | null } | null;
  readonly disk: number;
  /** What checkpoints of the run, which is gone on with, take already. */
  readonly checkpoints: number;
}

/** The heap of WebAssembly, whose addresses have 32 bits. */
const WASM_HEAP = 2 ** 32;

/** Main memory that an engine's tensors may still take; a container's limit included where Node tells it. */
function availableMemory({ name }: Engine): number {
  const free = process.availableMemory?.() ?? os.freemem();
  return name === 'wasm' ? Math.min(free, WASM_HEAP) : free;
}

/** Memory that tensors may still take where they are: on the GPU that computes, or main memory; null where nobody tells. */
export async function availableForTensors(engine: Engine): Promise<number | null> {
  return engine.device === 'gpu' ? freeMemoryOfGpu() : availableMemory(engine);
}

/**
 * Refuses a run that cannot fit into memory or onto the disk, before it starts.
 * @param directory The run directory that is gone on with; null of a new run.
 * @throws UserError with what it needs and what there is, unless `force`.
 */
export async function requireResources(
  options: ResourcesOptions,
  engine: Engine,
  directory: string | null,
): Promise<void> {
  if (options.force) return;
  const gpu = engine.device === 'gpu' ? { free: await freeMemoryOfGpu() } : null;
  const disk = await freeDisk(path.resolve(options.runs));
  const checkpoints = directory === null ? 0 : await checkpointsSize(path.join(directory, 'checkpoints'));
  assertFits(options, { memory: availableMemory(engine), gpu, disk, checkpoints });
}

/** @throws UserError where the run needs more than there is. */
export function assertFits(options: ResourcesOptions, available: Available): void {
  assertMemory(options, available);
  const { experiment, stages, runs, keepCheckpoints } = options;
  const { row, training } = experiment;
  if (!stages.includes('train')) return;
  const all = checkpointsBytes(experiment, keepCheckpoints);
  if (all - available.checkpoints > available.disk) {
    const there =
      available.checkpoints === 0 ? '' : `, of which ${formatBytes(available.checkpoints)} are there already,`;
    throw new UserError(
      `${row} writes about ${formatBytes(all)} of checkpoints (every ${training.checkpointEvery} iterations, ` +
        `${mostCheckpoints(experiment, keepCheckpoints)} at a time)${there} to ${runs}, where ${formatBytes(available.disk)} are free.`,
      'Free some space, choose another folder with --runs, keep fewer (--keep 1), or go on with --force.',
    );
  }
}

function assertMemory({ experiment, stages }: ResourcesOptions, { memory, gpu }: Available): void {
  const { row } = experiment;
  const { stage, tensorBytes, of, aheadBytes } = largestStageMemory(experiment, stages, gpu === null ? 'cpu' : 'gpu');
  // What is made ahead waits in main memory; so do the tensors where no GPU holds them.
  const ahead = gpu === null ? aheadBytes : 0;
  const needed = tensorBytes + ahead;
  const free = gpu === null ? memory : gpu.free;
  if (free === null || needed <= free) return;
  const made = stage === 'train' ? 'batches' : 'images';
  const beside = ahead === 0 ? '' : `, ${formatBytes(ahead)} of ${made} made ahead`;
  throw new UserError(
    `${row} needs about ${formatBytes(needed)} of ${gpu === null ? 'memory' : 'GPU memory'} ` +
      `(${formatBytes(tensorBytes)} of tensors in ${of}${beside}); ${formatBytes(free)} are there.`,
    `${stage === 'train' ? smallerBatch(experiment, free - ahead) : ''}Free some memory, or go on with --force.`,
  );
}

/** The largest batch whose step fits; nothing where none does. */
function smallerBatch({ model, data, training }: Experiment, free: number): string {
  for (let batch = training.batch - 1; batch > 0; batch--) {
    if (trainingMemory(model, data.cropHw, batch, training.precision).peakBytes <= free) {
      return `A batch of ${batch} fits: --set training.batch=${batch} (a recorded deviation). `;
    }
  }
  return '';
}
